import { assert, assertEquals, assertRejects } from "@std/assert";
import { InterruptedError, SystemError } from "../../lib/errors.ts";
import { openInputs } from "../../lib/jobs/input.ts";
import { Joblog, readJoblog } from "../../lib/jobs/joblog.ts";
import { Results } from "../../lib/jobs/results.ts";
import { JobRun, type JobRunOptions } from "../../lib/jobs/run.ts";
import { Template } from "../../lib/jobs/template.ts";
import { Admission } from "../../lib/jobs/admission.ts";
import { adoptsOrphans } from "../../lib/process/descendants.ts";
import { ReaderGoneError } from "../../lib/report/output.ts";
import { eventually, exists, inDirectory } from "../cli/conc.ts";
import { outputs } from "../helpers.ts";

// Opens the C library here, as it stays open until the process ends.
adoptsOrphans();

async function jobRun(
  command: string,
  values: string[],
  options: Partial<Omit<JobRunOptions, "pool">> & { pool?: Partial<JobRunOptions["pool"]> } = {},
) {
  const { stdout, stderr, out, err } = outputs();
  const { pool, ...others } = options;
  const stdin = ReadableStream.from<Uint8Array>([]);
  const run = new JobRun({
    template: new Template([command]),
    inputs: await openInputs([{ kind: "values", values, linked: false }], { stdin }),
    stdout,
    stderr,
    output: "block",
    say: (text) => stderr.write(`${text}\n`),
    ...others,
    pool: { slots: 2, admission: new Admission({}), ...pool },
  });
  return { run, out, err };
}

Deno.test("JobRun runs each input once and counts how they ended", async () => {
  const { run, out } = await jobRun("echo {}; exit {}", ["0", "3", "0"], { keepOrder: true });
  const { succeeded, failed, cut, skipped } = await run.run();
  assertEquals({ succeeded, failed, cut, skipped }, { succeeded: 2, failed: 1, cut: 0, skipped: 0 });
  assertEquals(out.text, "0\n3\n0\n");
  assertEquals(run.progress, { done: 3, failed: 1, running: 0, total: 3 });
});

Deno.test("JobRun with the order kept ends when its reader is gone, whether that shows during a job or after it", async () => {
  for (const output of ["block", "line", "json"] as const) {
    // In line mode the first line fails while the job runs, else it is printed when the job has ended.
    const command = output === "line" ? "while echo {}; do :; done" : "echo {}";
    const { run, out } = await jobRun(command, ["1", "2", "3"], { keepOrder: true, output });
    out.error = new Deno.errors.BrokenPipe("no reader");
    await assertRejects(() => run.run(), ReaderGoneError);
  }
});

Deno.test("JobRun ends when a result cannot be kept, and starts no job for it", async () => {
  await inDirectory(async (directory) => {
    const results = new Results(directory);
    await Deno.writeTextFile(`${directory}/1`, "in the way");
    const command = `touch '${directory}/started'; echo {}`;
    const { run } = await jobRun(command, ["a", "b"], { results, keepOrder: true });
    await assertRejects(() => run.run(), SystemError, "cannot write results");
    assert(!exists(`${directory}/started`));
  });
});

Deno.test("JobRun ends when nobody can take the message about a job", async () => {
  const { run, err } = await jobRun("./no/such/{}", ["a", "b"], {
    keepOrder: true,
    template: new Template(["./no/such/{}"]),
  });
  err.error = new Deno.errors.BrokenPipe("no reader");
  await assertRejects(() => run.run(), ReaderGoneError);
});

Deno.test("JobRun does not log a job that gave way for memory and was stopped before it ran again", async () => {
  await inDirectory(async (directory) => {
    using joblog = new Joblog(`${directory}/log`);
    const stop = new AbortController();
    // Two may start; then there is no memory, for ever.
    let isShort = false;
    let admitted = 0;
    const machine = {
      running: () => 0,
      processors: () => 1,
      availableBytes: () => isShort || admitted++ >= 2 ? 0 : 2,
    };
    const { run } = await jobRun(`exec sleep 300`, ["1", "2"], {
      joblog,
      template: new Template(["sleep", "300{}"]),
      pool: {
        admission: new Admission({ memfreeBytes: 1, machine }),
        isMemoryShort: () => isShort,
        signal: stop.signal,
      },
    });
    const ended = run.run();
    await eventually("both run", () => run.progress.running === 2);
    isShort = true;
    await eventually("one gave way", () => run.progress.running === 1);
    stop.abort(new InterruptedError("SIGTERM"));
    const { succeeded, failed, cut } = await ended;
    assertEquals({ succeeded, failed, cut }, { succeeded: 0, failed: 0, cut: 2 });
    const resume = readJoblog(`${directory}/log`, "unfinished");
    assertEquals([resume.isDone("sleep 3001"), resume.isDone("sleep 3002")], [false, false]);
    assertEquals([run.progress.done, run.progress.failed], [0, 0]);
  });
});

Deno.test("JobRun keeps no line of a failed attempt, and all of the last one", async () => {
  await inDirectory(async (directory) => {
    const command =
      `cd '${directory}'; if test -e {}; then echo again; else touch {}; printf half; exit 1; fi`;
    for (const output of ["block", "line"] as const) {
      const { run, out } = await jobRun(command, [`job-${output}`], { output, pool: { tries: 2 } });
      const { succeeded, failed } = await run.run();
      assertEquals([succeeded, failed, out.text], [1, 0, "again\n"]);
    }
  });
});
