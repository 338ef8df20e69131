import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { SystemError, UsageError } from "../../lib/errors.ts";
import { HostEvent } from "../../lib/host/event.ts";
import { HostLock } from "../../lib/host/lock.ts";
import { HostQueue } from "../../lib/host/queue.ts";
import { HostSemaphore } from "../../lib/host/semaphore.ts";
import { Store } from "../../lib/host/store.ts";
import { defaultStorePath } from "../../lib/host/store_file.ts";
import { inDirectory } from "../cli/conc.ts";
import { inDirectorySync } from "../helpers.ts";
import { withStore } from "./stores.ts";

Deno.test("defaultStorePath() is below XDG_STATE_HOME, or the home directory", () => {
  const path = (env: Record<string, string>) => defaultStorePath({ get: (name) => env[name] });
  assertEquals(path({ HOME: "/home/a" }), "/home/a/.local/state/conc/conc.db");
  assertEquals(path({ HOME: "/home/a", XDG_STATE_HOME: "/s" }), "/s/conc/conc.db");
  assertEquals(path({ HOME: "/home/a", XDG_STATE_HOME: "" }), "/home/a/.local/state/conc/conc.db");
  assertEquals(path({ HOME: "/home/a", XDG_STATE_HOME: "s" }), "/home/a/.local/state/conc/conc.db");
  assertThrows(() => path({}), UsageError, "HOME is not set");
  assertThrows(() => path({ XDG_STATE_HOME: "s" }), UsageError, "HOME is not set");
});

Deno.test("new Store() makes its directory and file for its user only", () => {
  inDirectorySync((directory) => {
    using _store = new Store(`${directory}/a/b/conc.db`);
    assertEquals(Deno.statSync(`${directory}/a/b`).mode! & 0o777, 0o700);
    assertEquals(Deno.statSync(`${directory}/a/b/conc.db`).mode! & 0o777, 0o600);
  });
});

Deno.test("Store.write() is done as a whole or not at all, and may be nested", async () => {
  await withStore((store) => {
    const add = (name: string) => store.run("INSERT INTO semaphores VALUES (?, 1)", name);
    assertThrows(() =>
      store.write(() => {
        add("a");
        store.write(() => add("b"));
        throw new Error("no");
      })
    );
    assertEquals(HostSemaphore.names(store), []);
    store.write(() => store.write(() => add("c")));
    assertEquals(HostSemaphore.names(store), ["c"]);
  });
});

Deno.test("Store.afterCommit() is called once the change is done for good, and not if it is undone", async () => {
  await withStore((store) => {
    const called: string[] = [];
    store.write(() => {
      store.afterCommit(() => called.push("done"));
      assertEquals(called, []);
    });
    assertThrows(() =>
      store.write(() => {
        store.afterCommit(() => called.push("undone"));
        throw new Error("no");
      })
    );
    store.write(() => {});
    assertEquals(called, ["done"]);
  });
});

Deno.test("a store of version 1 is read: what outlives a reboot is there, what does not is gone", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/conc.db`;
    const database = new DatabaseSync(path);
    database.exec(await Deno.readTextFile(new URL("../fixtures/host/store_v1.sql", import.meta.url)));
    database.close();
    using store = new Store(path);
    assertEquals(new HostSemaphore(store, "db").statistics(), { permits: 5, available: 5, waiting: 0 });
    assertEquals(new HostLock(store, "nightly").status(), {
      held: false,
      waiting: 0,
      holders: [],
      waiters: [],
    });
    const { set, data, generation } = new HostEvent(store, "db-ready").statistics();
    assertEquals({ set, data, generation }, { set: true, data: "port 5432", generation: 1 });
    const queue = new HostQueue(store, "jobs");
    const items = [await queue.get(), await queue.get(), await queue.get()];
    assertEquals(items.map((item) => new TextDecoder().decode(item)), ["one", "two", "three"]);
  });
});

Deno.test("after a reboot nothing is held and nobody waits; it is noticed once", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/conc.db`;
    const boot = (store: Store) =>
      store.get<{ value: string }>("SELECT value FROM meta WHERE key = 'boot'")!.value;
    let first: string;
    {
      using store = new Store(path);
      first = boot(store);
      await new HostLock(store, "a").acquire();
      store.run("UPDATE meta SET value = 'before' WHERE key = 'boot'");
    }
    using store = new Store(path);
    assertEquals(boot(store), first);
    using _lease = await new HostLock(store, "a").acquire({ timeoutMs: 0 });
    using again = new Store(path);
    assertEquals(new HostLock(again, "a").statistics().held, true);
  });
});

Deno.test("a store that cannot be used is a SystemError of one line that says what to do", () => {
  inDirectorySync((directory) => {
    const database = (name: string, sql: string) => {
      const made = new DatabaseSync(`${directory}/${name}`);
      made.exec(sql);
      made.close();
    };
    database("newer", "CREATE TABLE t (x); PRAGMA application_id = 0x636f6e63; PRAGMA user_version = 99");
    database("foreign", "CREATE TABLE t (x)");
    Deno.writeTextFileSync(`${directory}/text`, "no database, but long enough to be one".repeat(20));
    const cases: [string, RegExp][] = [
      [directory, /it is a directory: name a file$/],
      [`${directory}/newer`, /of a newer conc: upgrade this one$/],
      [`${directory}/foreign`, /another program's database: name another file$/],
      [`${directory}/text`, /it is no database: name another file$/],
      [`${directory}/text/conc.db`, /: a part of its path is no directory: name another file$/],
      [`${directory}/new/`, /: it is a directory: name a file$/],
      [`${directory}/${"n".repeat(300)}`, /: File name too long: name another file$/],
    ];
    for (const [path, message] of cases) {
      const error = assertThrows(() => new Store(path), SystemError);
      assertMatch(error.message, message);
      assert(!error.message.includes("\n"));
    }
  });
});

Deno.test("a store that is damaged in its middle is a SystemError", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/conc.db`;
    {
      using store = new Store(path);
      for (let number = 0; number < 200; number++) new HostSemaphore(store, `semaphore-${number}`);
    }
    const bytes = await Deno.readFile(path);
    bytes.fill(0xff, 4096);
    await Deno.writeFile(path, bytes);
    await assertRejects(
      async () => {
        using store = new Store(path);
        await new HostSemaphore(store, "semaphore-100", { permits: 2 }).acquire();
      },
      SystemError,
      "it is damaged",
    );
  });
});

Deno.test("several connections write at once, and none is told that the database is locked", async () => {
  await withStore(async (store) => {
    const program = `
      import { Store } from ${JSON.stringify(import.meta.resolve("../../lib/host/store.ts"))};
      const store = new Store(Deno.args[0]);
      for (let n = 0; n < 300; n++) {
        store.write(() => {
          const { permits } = store.get("SELECT permits FROM semaphores WHERE name = 'count'");
          store.run("UPDATE semaphores SET permits = ? WHERE name = 'count'", permits + 1);
        });
      }`;
    new HostSemaphore(store, "count");
    const run = () =>
      new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "-A",
          "--no-check",
          "--ext=ts",
          `data:application/typescript;base64,${btoa(program)}`,
          store.path,
        ],
      }).output();
    for (const { success, stderr } of await Promise.all([run(), run(), run()])) {
      assert(success, new TextDecoder().decode(stderr));
    }
    assertEquals(new HostSemaphore(store, "count").statistics().permits, 901);
  });
});
