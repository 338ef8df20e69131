import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { textToBytes } from "../../lib/bytes.ts";
import { SpawnError } from "../../lib/errors.ts";
import { Admission } from "../../lib/jobs/admission.ts";
import { Template } from "../../lib/jobs/template.ts";
import { WorkRun, type WorkRunOptions, type WorkSource } from "../../lib/jobs/work.ts";
import type { Received } from "../../lib/named.ts";
import { adoptsOrphans } from "../../lib/process/descendants.ts";
import { ReaderGoneError } from "../../lib/report/output.ts";
import { eventually } from "../conformance/waits.ts";
import { outputs } from "../helpers.ts";

// Loads libc once and for all, before a test counts what it opens.
adoptsOrphans();

/** Hands out items, and keeps what is said of them. */
class Items implements WorkSource {
  readonly said: unknown[] = [];
  onLost: (token: string) => void = () => {};
  closed = false;
  readonly #items: Received[];

  constructor(items: readonly (Partial<Received> & { token: string })[]) {
    this.#items = items.map((item) => ({ item: textToBytes(item.token), attempts: 1, env: {}, ...item }));
  }

  next(): Promise<Received | undefined> {
    return Promise.resolve(this.#items.shift());
  }

  done(token: string): void {
    this.said.push([token, "done"]);
  }

  giveBack(token: string, options: Record<string, unknown>): void {
    this.said.push([token, options]);
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

function work(
  source: WorkSource,
  command: readonly string[],
  { stdin = false, pool, ...options }: Partial<WorkRunOptions> = {},
) {
  const streams = outputs();
  const said: string[] = [];
  const run = new WorkRun({
    template: new Template(command, { append: !stdin }),
    ...{
      source,
      stdin,
      stdout: streams.stdout,
      stderr: streams.stderr,
      json: false,
      retries: 3,
      backoffMs: 100,
    },
    say: (text) => Promise.resolve(void said.push(text)),
    ...options,
    pool: pool ?? { slots: 1, admission: new Admission({}) },
  });
  return { run, ...streams, said };
}

/** Runs a test body with a command that sleeps, and a promise that resolves when so many of them run. */
async function whenStarted(
  count: number,
  body: (command: string, started: Promise<void>) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempFile({ prefix: "conc-test-" });
  try {
    const started = eventually(() => assertEquals(Deno.readTextFileSync(path).length >= count, true));
    await body(`echo >> ${path}; exec sleep {}`, started);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("WorkRun says of each item what became of it", async () => {
  const items = new Items([
    { token: "0" },
    { token: "5" },
    { token: "6", attempts: 2 },
    { token: "7", attempts: 3 },
  ]);
  const { run, said } = work(items, ["exit {}"]);
  assertEquals(await run.run(), { done: 1, retried: 2, dead: 1, returned: 0, lost: 0 });
  assertEquals(items.said, [
    ["0", "done"],
    ["5", { delayMs: 100, error: "exit code 5" }],
    ["6", { delayMs: 200, error: "exit code 6" }],
    ["7", { dead: true, error: "exit code 7" }],
  ]);
  assertEquals(said[0], "item '5' failed: exit code 5: again in 100ms (try 1 of 3)");
  assertEquals(items.closed, true);
});

Deno.test("WorkRun keeps the last line of stderr as the error, and waits no longer than an hour", async () => {
  const items = new Items([{ token: "a", attempts: 40 }]);
  const { run } = work(items, ['printf "one\\n two \\n\\n" >&2; kill -9 $$; :'], { retries: 50 });
  await run.run();
  assertEquals(items.said, [["a", { delayMs: 3_600_000, error: "SIGKILL: two" }]]);
});

Deno.test("WorkRun runs no item that was received more often than it may be tried", async () => {
  const items = new Items([{ token: "a", attempts: 4 }, { token: "b" }]);
  const { run, out } = work(items, ["echo"]);
  assertEquals((await run.run()).dead, 1);
  assertEquals(items.said, [
    ["a", { dead: true, error: "its worker died each time", counts: false }],
    ["b", "done"],
  ]);
  assertEquals(out.text, "b\n");
});

Deno.test("WorkRun gives an item back that cannot be started, and throws why", async () => {
  const items = new Items([{ token: "a" }]);
  const { run } = work(items, ["no-such-command"]);
  await assertRejects(() => run.run(), SpawnError, "command not found");
  assertEquals(items.said, [["a", { counts: false }]]);
});

Deno.test("WorkRun gives an item back whose output nobody reads", async () => {
  const items = new Items([{ token: "a" }, { token: "b" }]);
  const { run, out } = work(items, ["echo"]);
  out.error = new Deno.errors.BrokenPipe();
  await assertRejects(() => run.run(), ReaderGoneError);
  assertEquals(items.said, [["a", { counts: false }]]);
});

Deno.test("WorkRun ends the job of an item that was taken away, and says nothing of the item", async () => {
  const items = new Items([{ token: "600" }, { token: "0" }]);
  await whenStarted(1, async (command, started) => {
    const { run, said } = work(items, [command]);
    const running = run.run();
    await started;
    items.onLost("600");
    assertEquals(await running, { done: 1, retried: 0, dead: 0, returned: 0, lost: 1 });
    assertEquals(items.said, [["0", "done"]]);
    assertEquals(said, ["the lease of item '600' has ended: its job is ended, too"]);
  });
});

Deno.test("WorkRun gives the command the item to read, and its number, slot and attempt", async () => {
  const items = new Items([{ token: "a", attempts: 2, env: { CONC_LEASE: "name" } }]);
  const { run, out } = work(items, ['cat; echo " $CONC_SEQ $CONC_SLOT $CONC_ATTEMPT $CONC_LEASE"'], {
    stdin: true,
  });
  await run.run();
  assertEquals(out.text, "a 1 1 2 name\n");
});

Deno.test("WorkRun stopped by a signal gives back what it cuts off, and takes no more", async () => {
  const controller = new AbortController();
  const items = new Items([{ token: "600" }, { token: "601" }, { token: "602" }]);
  await whenStarted(2, async (command, started) => {
    const { run } = work(items, [command], {
      pool: { slots: 2, admission: new Admission({}), signal: controller.signal },
    });
    const running = run.run();
    await started;
    controller.abort();
    assertEquals(await running, { done: 0, retried: 0, dead: 0, returned: 2, lost: 0 });
  });
  // Both were told to end at once: which one did first is chance.
  assertEquals(items.said.toSorted(), [["600", { counts: false }], ["601", { counts: false }]]);
  assertEquals((await items.next())!.token, "602");
});

Deno.test("WorkRun prints a record of each job", async () => {
  const items = new Items([{ token: "a", item: Uint8Array.of(0x61, 0xff) }]);
  const { run, out } = work(items, ["printf %s"], { json: true });
  await run.run();
  const record = JSON.parse(out.text);
  assertEquals(record, {
    ...{ type: "job", seq: 1, slot: 1, itemBase64: "Yf8=", commandBase64: record.commandBase64 },
    ...{ outcome: "done", attempts: 1, cause: "exit", exitCode: 0, signal: null },
    ...{ startedAt: record.startedAt, durationMs: record.durationMs, stdoutBase64: "Yf8=", stderr: "" },
  });
  assertStringIncludes(atob(record.commandBase64), "printf %s ");
});
