/**
 * The tables of a store, and how a store of an older version gets them. A version that was released does not change any more: what is
 * new is another step.
 *
 * @module
 */

/** Marks a file as conc's: "conc" in ASCII (SQLite, `PRAGMA application_id`). */
export const APPLICATION_ID = 0x63_6f_6e_63;

/** What turns version N into N + 1, beginning with an empty file. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

  -- Processes that hold something or wait. pid and started name a process for good; in other pid namespaces the beat decides.
  CREATE TABLE owners (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pid INTEGER NOT NULL,
    started INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    beat INTEGER NOT NULL,
    UNIQUE (pid, started, namespace)
  );

  -- What is held. object is KIND:NAME.
  CREATE TABLE leases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    object TEXT NOT NULL,
    owner INTEGER,
    weight INTEGER NOT NULL,
    depth INTEGER NOT NULL,
    token TEXT NOT NULL UNIQUE,
    since INTEGER NOT NULL,
    expires INTEGER,
    command TEXT,
    job INTEGER NOT NULL,
    jobPid INTEGER,
    jobStarted INTEGER
  );
  CREATE INDEX leasesOfObject ON leases (object);
  CREATE INDEX leasesOfOwner ON leases (owner);

  -- Who waits, in the order of the ids. state 0 waits, 1 was granted its result, 2 was refused for the reason in result.
  CREATE TABLE waiters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    line TEXT NOT NULL,
    owner INTEGER NOT NULL,
    request INTEGER NOT NULL,
    state INTEGER NOT NULL,
    result TEXT,
    payload BLOB,
    since INTEGER NOT NULL,
    command TEXT
  );
  CREATE INDEX waitersOfLine ON waiters (line, state, id);
  CREATE INDEX waitersOfOwner ON waiters (owner);

  CREATE TABLE semaphores (name TEXT PRIMARY KEY, permits INTEGER NOT NULL) WITHOUT ROWID;

  CREATE TABLE events (
    name TEXT PRIMARY KEY,
    isSet INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    data TEXT,
    since INTEGER NOT NULL
  ) WITHOUT ROWID;

  -- size counts the items that can be gotten now or later; leased and dead ones are counted apart.
  CREATE TABLE queues (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    maxSize INTEGER,
    closed INTEGER NOT NULL,
    puts INTEGER NOT NULL,
    size INTEGER NOT NULL,
    leased INTEGER NOT NULL,
    dead INTEGER NOT NULL
  );

  -- state 0 is ready, 1 delayed until due (uptime; dueAt is the same on the wall clock), 2 leased, 3 dead. lease is the token of its lease.
  CREATE TABLE items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue INTEGER NOT NULL,
    state INTEGER NOT NULL,
    rank REAL NOT NULL,
    position INTEGER NOT NULL,
    data BLOB NOT NULL,
    priority REAL NOT NULL,
    dedup TEXT,
    attempts INTEGER NOT NULL,
    due INTEGER,
    dueAt INTEGER,
    putAt INTEGER NOT NULL,
    lease TEXT,
    lastError TEXT
  );
  CREATE INDEX itemsInOrder ON items (queue, state, rank, position);
  CREATE INDEX itemsDue ON items (queue, due) WHERE state = 1;
  CREATE UNIQUE INDEX itemsLeased ON items (lease) WHERE lease IS NOT NULL;
  CREATE UNIQUE INDEX itemsDedup ON items (queue, dedup) WHERE dedup IS NOT NULL;
  `,
];

/** What is gone with the processes of before the last start of the machine. */
export const AFTER_REBOOT = `
  DELETE FROM leases;
  DELETE FROM waiters;
  DELETE FROM owners;
  UPDATE items SET state = 0, lease = NULL WHERE state = 2;
  UPDATE queues SET size = size + leased, leased = 0;
`;
