import { assertEquals, assertMatch } from "@std/assert";
import { bytesToText } from "../../lib/bytes.ts";
import { ThreadJobs } from "../../lib/jobs/thread_jobs.ts";

async function withJobs(source: string, body: (jobs: ThreadJobs) => Promise<void>): Promise<void> {
  await using jobs = new ThreadJobs({ source }, { size: 1, name: source });
  await body(jobs);
}

/** Runs an attempt, and returns how it ended and what it printed. */
async function attempt(jobs: ThreadJobs, ...args: string[]): Promise<[number, string | undefined, string]> {
  let printed = "";
  const { finished } = jobs.start({ seq: 7, args }, (stream, bytes) => {
    printed += `${stream}: ${bytesToText(bytes)}`;
  });
  const { exitCode, cause } = await finished;
  return [exitCode, cause, printed];
}

Deno.test("ThreadJobs.start() ends as a process does, and prints the result or what was thrown", async () => {
  await withJobs("(a, b) => { if (a === 'bad') throw new TypeError('no'); return a + b; }", async (jobs) => {
    assertEquals(await attempt(jobs, "x", "y"), [0, undefined, "stdout: xy\n"]);
    assertEquals(await attempt(jobs, "bad"), [1, undefined, "stderr: conc: job 7: TypeError: no\n"]);
  });
  await withJobs("() => {}", async (jobs) => assertEquals(await attempt(jobs), [0, undefined, ""]));
});

Deno.test("ThreadJobs.start() keeps the first cause that it was ended with, and prints nothing then", async () => {
  await withJobs("() => new Promise(() => {})", async (jobs) => {
    let printed = 0;
    const { finished, end } = jobs.start({ seq: 1, args: [] }, () => void (printed += 1));
    await Promise.all([end("halted", {}), end("timeout", {})]);
    assertEquals(await finished, { exitCode: 1, signal: undefined, cause: "halted" });
    assertEquals(printed, 0);
  });
});

Deno.test("ThreadJobs.template names an input by the function and its arguments, for a shell", async () => {
  await withJobs("n => n", (jobs) => {
    const { text, words } = jobs.template.fill({ args: ["a b", "c"], seq: 1, slot: 1 });
    assertEquals([text, words], ["'n => n' 'a b' c", []]);
    return Promise.resolve();
  });
});

Deno.test("ThreadJobs.describe() is one line, and with stacks says where", async () => {
  const error = new RangeError("two\nlines");
  await withJobs("n => n", (jobs) => {
    assertEquals(jobs.describe({ seq: 1, error }), "job 1: RangeError: two …");
    assertEquals(jobs.describe({ seq: 2, error: undefined }), "job 2: threw undefined");
    return Promise.resolve();
  });
  await using jobs = new ThreadJobs({ source: "n => n" }, { size: 1, name: "f", stacks: true });
  assertMatch(jobs.describe({ seq: 3, error }), /^job 3: RangeError: two\nlines\n +at /);
});
