import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { bytesToText, textToBytes } from "../../lib/bytes.ts";
import { SystemError, UsageError } from "../../lib/errors.ts";
import { Joblog, type JoblogEntry, readJoblog } from "../../lib/jobs/joblog.ts";
import { inDirectorySync } from "../helpers.ts";

/** Any command: tabs, line feeds, bytes that are no UTF-8. NUL is in no command line. */
const command = fc.oneof(
  fc.constantFrom("echo a", "echo\tb", "a\nb", "\n", "", "1\t:\t0", "Seq\tHost"),
  fc.uint8Array({ maxLength: 12 }).map((bytes) => bytesToText(bytes.map((byte) => byte || 1))),
);
const run = fc.record({ command, isFailed: fc.boolean(), signal: fc.constantFrom(0, 9) });

function entry(seq: number, command: string, changes: Partial<JoblogEntry> = {}): JoblogEntry {
  const ended = {
    startedAtMs: 1_700_000_000_123,
    durationMs: 1_500,
    receivedBytes: 7,
    exitValue: 0,
    signal: 0,
  };
  return { seq, ...ended, command, ...changes };
}

function write(path: string, entries: readonly JoblogEntry[]): void {
  using log = new Joblog(path);
  for (const each of entries) log.add(each);
}

/** How many jobs with each command a log answers for. */
function countDone(
  path: string,
  mode: "unfinished" | "failed",
  commands: Iterable<string>,
): Map<string, number> {
  const resume = readJoblog(path, mode);
  const counts = new Map<string, number>();
  for (const each of commands) {
    let count = 0;
    while (resume.isDone(each)) count += 1;
    counts.set(each, count);
  }
  return counts;
}

Deno.test("Joblog writes GNU parallel's columns", () => {
  inDirectorySync((directory) => {
    const path = `${directory}/log`;
    write(path, [entry(3, "echo 'a\nb'\t", { exitValue: -1, signal: 0 })]);
    assertEquals(
      Deno.readTextFileSync(path),
      "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n" +
        "3\t:\t1700000000.123\t     1.500\t0\t7\t-1\t0\techo 'a\0b'\t\n",
    );
  });
});

Deno.test("readJoblog() gives back each command as often as it was logged, whatever bytes it holds", () => {
  inDirectorySync((directory) => {
    const path = `${directory}/log`;
    fc.assert(
      fc.property(fc.array(run, { maxLength: 8 }), (runs) => {
        write(
          path,
          runs.map(({ command, isFailed, signal }, index) =>
            entry(index + 1, command, isFailed ? { exitValue: signal === 0 ? 1 : 0, signal } : {})
          ),
        );
        const commands = new Set([...runs.map(({ command }) => command), "never logged"]);
        const count = (wanted: (run: { isFailed: boolean }) => boolean) =>
          new Map(
            [...commands].map((each) =>
              [each, runs.filter((run) => run.command === each && wanted(run)).length] as const
            ),
          );
        assertEquals(countDone(path, "unfinished", commands), count(() => true));
        assertEquals(countDone(path, "failed", commands), count(({ isFailed }) => !isFailed));
      }),
      { numRuns: 100 },
    );
  });
});

Deno.test("readJoblog() reads a log that was cut at any byte, and loses at most the last line", () => {
  inDirectorySync((directory) => {
    const path = `${directory}/log`;
    const commands = ["one", "tw\to", "thr\nee", "f\udcffour"];
    write(path, commands.map((each, index) => entry(index + 1, each)));
    const whole = Deno.readFileSync(path);
    for (let cut = 0; cut <= whole.length; cut++) {
      const part = whole.subarray(0, cut);
      Deno.writeFileSync(path, part);
      const feeds = part.filter((byte) => byte === 10).length;
      const counts = countDone(path, "unfinished", commands);
      assertEquals(
        [...counts.values()].filter((count) => count === 1).length,
        Math.max(0, feeds - 1),
        `${cut}`,
      );
      // It can be gone on from: the next line begins where the last whole one ended.
      {
        using log = new Joblog(path, { append: true });
        log.add(entry(9, "next"));
      }
      assert(readJoblog(path, "unfinished").isDone("next"), `${cut}`);
    }
  });
});

Deno.test("readJoblog() takes a number that comes again behind a success for another job's", () => {
  inDirectorySync((directory) => {
    const path = `${directory}/log`;
    const failed = { exitValue: 1 };
    write(path, [entry(2, "a"), entry(2, "a"), entry(2, "a"), entry(3, "b", failed), entry(3, "b")]);
    assertEquals([...countDone(path, "unfinished", ["a", "b"]).values()], [3, 1]);
    assertEquals([...countDone(path, "failed", ["a", "b"]).values()], [3, 1]);
  });
});

Deno.test("readJoblog() leaves a file alone that is no joblog", () => {
  inDirectorySync((directory) => {
    const path = `${directory}/data.tsv`;
    for (const text of ["1\tfoo\n2\tbar", "Seq\tdata", "notes", "\n", "x\nSeq\tHost"]) {
      Deno.writeTextFileSync(path, text);
      assertThrows(() => readJoblog(path, "unfinished"), UsageError, "no joblog's");
      assertEquals(Deno.readTextFileSync(path), text);
    }
  });
});

Deno.test("readJoblog() names the line that is no joblog's", () => {
  inDirectorySync((directory) => {
    const path = `${directory}/log`;
    write(path, [entry(1, "a"), entry(2, "b")]);
    const lines = Deno.readTextFileSync(path).split("\n");
    lines[2] = "garbage";
    Deno.writeTextFileSync(path, lines.join("\n"));
    assertThrows(() => readJoblog(path, "failed"), UsageError, "line 3 is no joblog's");
  });
});

Deno.test("readJoblog() reads GNU parallel's own log", () => {
  inDirectorySync((directory) => {
    const path = `${directory}/log`;
    Deno.writeTextFileSync(
      path,
      "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n" +
        "2\t:\t1700000000.123\t     0.002\t0\t2\t0\t0\techo b\n" +
        "1\tserver\t1700000000.120\t    12.001\t0\t0\t0\t15\tsleep 99\n",
    );
    const commands = ["echo b", "sleep 99"];
    assertEquals([...countDone(path, "unfinished", commands).values()], [1, 1]);
    assertEquals([...countDone(path, "failed", commands).values()], [1, 0]);
  });
});

Deno.test("readJoblog() takes no file for an empty log, and says why a directory is none", () => {
  inDirectorySync((directory) => {
    assert(!readJoblog(`${directory}/none`, "unfinished").isDone("a"));
    assertThrows(() => readJoblog(directory, "unfinished"), UsageError, "cannot read joblog");
    assertThrows(() => new Joblog(`${directory}/none/log`), UsageError, "cannot write joblog");
  });
});

Deno.test("Resume with mode failed passes over a job that worked the second time", () => {
  inDirectorySync((directory) => {
    const path = `${directory}/log`;
    write(path, [entry(1, "a", { exitValue: 1 })]);
    assert(!readJoblog(path, "failed").isDone("a"));
    {
      using log = new Joblog(path, { append: true });
      log.add(entry(1, "a"));
    }
    const resume = readJoblog(path, "failed");
    assertEquals([resume.isDone("a"), resume.isDone("a")], [true, false]);
  });
});

Deno.test({
  name: "Joblog says that the disk is full",
  ignore: Deno.build.os !== "linux",
  // The log that could not be begun stays open until conc ends, which is soon.
  sanitizeResources: false,
  fn() {
    assertThrows(() => new Joblog("/dev/full"), SystemError, "--resume goes on from it");
  },
});

Deno.test("Joblog writes invalid bytes as they were", () => {
  inDirectorySync((directory) => {
    const path = `${directory}/log`;
    write(path, [entry(1, "a\udcff")]);
    assertEquals(Deno.readFileSync(path).slice(-3), new Uint8Array([...textToBytes("a"), 0xff, 10]));
  });
});
