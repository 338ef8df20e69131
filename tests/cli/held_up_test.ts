import { assertEquals, assertMatch } from "@std/assert";
import { StoppedWriter } from "../host/stores.ts";
import { records, type Running } from "./conc.ts";
import { withStore } from "./store_place.ts";

const ignore = Deno.build.os !== "linux";

/** Waits until conc says that it cannot write, and who is in the way. */
async function untilItSays(running: Running, pid: number): Promise<void> {
  assertMatch(
    await running.firstComplaint(),
    new RegExp(
      `^conc: the store \\S+ cannot be written yet: process ${pid} \\(.*\\) is in the way, and is stopped: `,
    ),
  );
}

Deno.test({
  name: "while a stopped process keeps all from writing, --timeout ends a wait, and conc says who that is",
  ignore,
  async fn() {
    await withStore(async ({ directory, run }) => {
      await run(["queue", "put", "jobs", "first"]);
      await using writer = await StoppedWriter.start(`${directory}/conc.db`);
      const commands = [
        ["sem", "run", "a", "--timeout", "0.2s", "echo", "ran"],
        ["sem", "acquire", "a", "--timeout", "0.2s"],
        ["lock", "run", "a", "--timeout", "0.2s", "echo", "ran"],
        ["queue", "get", "jobs", "--timeout", "0.2s"],
        ["queue", "put", "jobs", "second", "--timeout", "0.2s"],
        ["queue", "get", "new", "--timeout", "0.2s"],
        ["queue", "join", "jobs", "--timeout", "0.2s"],
      ];
      for (const words of commands) {
        const { code, stdout, stderr } = await run(words);
        assertEquals([code, stdout], [124, ""], words.join(" "));
        assertMatch(
          stderr,
          new RegExp(`^conc: [^\\n]* process ${writer.pid} [^\\n]*\\(kill -CONT ${writer.pid}[^\\n]*\\n$`),
        );
      }
      for (
        const words of [["lock", "run", "a", "--no-wait", "echo"], ["queue", "get", "jobs", "--no-wait"]]
      ) {
        const { code, stderr } = await run(words);
        assertEquals(code, 125, words.join(" "));
        assertMatch(stderr, new RegExp(`process ${writer.pid} .* is stopped`));
      }
      await writer.goOn();
      assertEquals((await run(["queue", "get", "jobs", "-n2", "--no-wait"])).stdout, "first\n");
      assertEquals((await run(["sem", "run", "a", "--no-wait", "echo", "ran"])).stdout, "ran\n");
    });
  },
});

Deno.test({
  name: "while a stopped process keeps all from writing, SIGINT and SIGTERM end conc at once",
  ignore,
  async fn() {
    await withStore(async ({ directory, run, start }) => {
      await run(["queue", "put", "jobs", "first"]);
      await using writer = await StoppedWriter.start(`${directory}/conc.db`);
      const started = [
        start(["lock", "run", "a", "echo", "ran"]),
        start(["sem", "run", "a", "echo", "ran"]),
        start(["queue", "put", "jobs", "second"]),
        start(["queue", "get", "jobs"]),
        start(["queue", "work", "jobs", "echo"]),
      ];
      for (const [index, running] of started.entries()) {
        await untilItSays(running, writer.pid);
        const [signal, expected] = index % 2 === 0 ? ["SIGTERM", 143] as const : ["SIGINT", 130] as const;
        running.kill(signal);
        const { code, stdout } = await running.result();
        assertEquals([code, stdout], [expected, ""]);
      }
      await writer.goOn();
      assertEquals((await run(["queue", "get", "jobs", "-n2", "--no-wait"])).stdout, "first\n");
    });
  },
});

Deno.test({
  name: "once the stopped process goes on, so does everything, and nothing is lost",
  ignore,
  async fn() {
    await withStore(async ({ directory, run, start }) => {
      await run(["queue", "put", "jobs", "first"]);
      await using writer = await StoppedWriter.start(`${directory}/conc.db`);
      const started = [
        start(["lock", "run", "a", "echo", "ran"]),
        start(["sem", "run", "a", "echo", "ran"]),
        start(["queue", "put", "jobs", "second", "third"]),
        start(["event", "set", "ready", "--data", "there"]),
      ];
      for (const running of started) await untilItSays(running, writer.pid);
      await writer.goOn();
      const results = await Promise.all(started.map((running) => running.result()));
      assertEquals(results.map(({ code }) => code), [0, 0, 0, 0]);
      assertEquals(results.map(({ stdout }) => stdout), ["ran\n", "ran\n", "", ""]);
      assertEquals(
        (await run(["queue", "get", "jobs", "-n3", "--no-wait"])).stdout,
        "first\nsecond\nthird\n",
      );
      const [event] = records((await run(["event", "list", "--json"])).stdout);
      assertEquals([event!.set, event!.data], [true, "there"]);
    });
  },
});

Deno.test({
  name: "a command whose lock cannot be given back has ended all the same, and the lock is free afterwards",
  ignore,
  async fn() {
    await withStore(async ({ directory, hold, go, run }) => {
      const running = await hold(["lock", "run", "a"], "held");
      await using writer = await StoppedWriter.start(`${directory}/conc.db`);
      await go();
      const { code, stderr } = await running.result();
      assertEquals(code, 0);
      assertMatch(stderr, new RegExp(`process ${writer.pid} .* is stopped`));
      await writer.goOn();
      assertEquals((await run(["lock", "run", "a", "--no-wait", "echo", "ran"])).stdout, "ran\n");
    });
  },
});
