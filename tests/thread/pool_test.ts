import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLessOrEqual,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { ClosedError, TimeoutError, UsageError, WorkerDiedError } from "../../lib/errors.ts";
import { ThreadPool, type ThreadPoolOptions, type WorkerDeath } from "../../lib/thread/pool.ts";
import {
  countingSignal,
  eventually,
  follow,
  pause,
  reaching,
  settled,
  start,
  type Wait,
} from "../conformance/support.ts";

type Source = { source: string };

const SQUARE: Source = { source: "n => n ** 2" };
/**
 * Counts in cell 0 that it has begun, and waits until cell 1 is set. It looks again and again: a Worker that sleeps in `Atomics.wait`
 * cannot be ended in every version of Deno.
 */
const GATED: Source = {
  source: `({ cells, value }) => {
    Atomics.add(cells, 0, 1);
    while (Atomics.load(cells, 1) === 0) Atomics.wait(cells, 1, 0, 2);
    return value;
  }`,
};
/** Does what its input says. */
const ANYTHING = {
  source: `(input) => {
    switch (input.do) {
      case "return": return input.value;
      case "later": return new Promise((resolve) => setTimeout(() => resolve(input.value), 1));
      case "throw": throw new RangeError(input.value);
      case "unclonable": return () => {};
      case "close": return self.close();
      case "exit": return Deno.exit(3);
      case "reject": Promise.reject(new Error("nobody listens")); return new Promise(() => {});
      // Not for ever: not every version of Deno ends a Worker that is in a loop.
      case "hang": for (const endMs = Date.now() + 5_000; Date.now() < endMs;);
    }
  }`,
};

interface Gate {
  cells: Int32Array;
  input: (value?: unknown) => { cells: Int32Array; value: unknown };
  begun: (count: number) => Promise<void>;
  open: () => void;
}

function gate(): Gate {
  const cells = new Int32Array(new SharedArrayBuffer(8));
  return {
    cells,
    input: (value) => ({ cells, value }),
    begun: (count) => eventually(() => assertEquals(Atomics.load(cells, 0), count)),
    open() {
      Atomics.store(cells, 1, 1);
      Atomics.notify(cells, 1);
    },
  };
}

/** Runs a test body with a pool, and ends the pool whatever happens. */
async function withPool<I = unknown, O = unknown>(
  source: Source,
  options: ThreadPoolOptions,
  body: (pool: ThreadPool<I, O>) => Promise<void>,
): Promise<void> {
  const pool = new ThreadPool<I, O>(source, options);
  try {
    await body(pool);
  } finally {
    await pool.cancel();
  }
  assertEquals(pool.statistics().workers, 0);
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of source) all.push(each);
  return all;
}

async function failure(promise: Promise<unknown>): Promise<Error> {
  const error = await promise.then(() => undefined, (error) => error);
  assertInstanceOf(error, Error);
  return error;
}

Deno.test("ThreadPool.submit() returns what the function returns", async () => {
  await withPool(ANYTHING, { size: 2 }, async (pool) => {
    const values = [1, "text", undefined, null, { a: [1n, new Date(0)] }, new Map([[1, new Uint8Array(3)]])];
    for (const value of values) {
      assertEquals(await pool.submit({ do: "return", value }), value);
      assertEquals(await pool.submit({ do: "later", value }), value);
    }
    const { size, workers, succeeded, failed, closed } = pool.statistics();
    assertEquals({ size, succeeded, failed, closed }, { size: 2, succeeded: 12, failed: 0, closed: false });
    assertLessOrEqual(workers, 2);
  });
});

Deno.test("ThreadPool runs an export of a module", async () => {
  const module = new URL("../fixtures/thread/functions.js", import.meta.url);
  for (const [name, expected] of [["default", 49], ["triple", 21]] as const) {
    await using pool = new ThreadPool<number, number>({ module, export: name }, { size: 1 });
    assertEquals(await pool.submit(7), expected);
  }
  await using pool = new ThreadPool<number, number>({ module: String(module) });
  assertEquals(await pool.submit(5), 25);
});

Deno.test("ThreadPool with spread passes the elements of an input as arguments", async () => {
  await withPool({ source: "(...args) => args" }, { size: 1, spread: true }, async (pool) => {
    assertEquals(await pool.submit(["a", "b", "c"]), ["a", "b", "c"]);
    assertEquals(await pool.submit([]), []);
  });
});

Deno.test("ThreadPool.submit() throws what the function throws, with the name, message and stack that it had", async () => {
  await withPool(ANYTHING, { size: 1 }, async (pool) => {
    const error = await failure(pool.submit({ do: "throw", value: "out of range" }));
    assertInstanceOf(error, RangeError);
    assertEquals([error.name, error.message], ["RangeError", "out of range"]);
    assertStringIncludes(error.stack!, "conc:function");
    assert(!/pool_worker|data:/.test(error.stack!), error.stack);
  });
  const sources: [string, string, string][] = [
    ["() => { class OwnError extends Error { name = 'OwnError' } throw new OwnError('x') }", "OwnError", "x"],
    ["async () => { await null; throw new TypeError('later') }", "TypeError", "later"],
    ["() => { throw new DOMException('no', 'AbortError') }", "AbortError", "no"],
  ];
  for (const [source, name, message] of sources) {
    await withPool({ source }, { size: 1 }, async (pool) => {
      const error = await failure(pool.submit(1));
      assertEquals([error.name, error.message], [name, message]);
    });
  }
  const thrown: [string, unknown][] = [
    ["() => { throw 'text' }", "text"],
    ["() => { throw { code: 7 } }", { code: 7 }],
    ["() => Promise.reject()", undefined],
    ["() => { throw Symbol('s') }", "Symbol(s)"],
    ["() => { throw () => 1 }", "() => 1"],
  ];
  for (const [source, expected] of thrown) {
    await withPool({ source }, { size: 1 }, async (pool) => {
      const wait = follow(pool.submit(1));
      await settled([wait]);
      assertEquals([wait.state, wait.reason], ["rejected", expected]);
    });
  }
});

Deno.test("ThreadPool: a task that fails, in any way, fails alone", async () => {
  for (const bad of ["throw", "unclonable", "close", "exit", "reject"]) {
    await withPool(ANYTHING, { size: 2 }, async (pool) => {
      // So that many tasks share a message.
      await Promise.all(Array.from({ length: 2_000 }, () => pool.submit({ do: "return" })));
      const waits = Array.from(
        { length: 500 },
        (_, value) =>
          follow(pool.submit(value % 100 === 50 ? { do: bad, value: "bad" } : { do: "return", value })),
      );
      await settled(waits);
      for (const [value, wait] of waits.entries()) {
        if (value % 100 !== 50) assertEquals(wait.value, value, bad);
        else assertInstanceOf(wait.reason, Error, `${bad} ${value}`);
      }
      const isDeath = ["close", "exit", "reject"].includes(bad);
      assertEquals(waits[50]!.reason instanceof WorkerDiedError, isDeath, bad);
      assertEquals(await pool.submit({ do: "return", value: "goes on" }), "goes on");
    });
  }
});

Deno.test("ThreadPool: an input that cannot be cloned fails alone", async () => {
  await withPool<unknown, unknown>({ source: "n => n" }, { size: 1 }, async (pool) => {
    await Promise.all(Array.from({ length: 2_000 }, (_, n) => pool.submit(n)));
    const waits = Array.from({ length: 100 }, (_, n) => follow(pool.submit(n === 50 ? () => n : n)));
    await settled(waits);
    assertEquals(waits.filter(({ state }) => state === "rejected").length, 1);
    assertEquals((waits[50]!.reason as Error).name, "DataCloneError");
    assertEquals(waits[99]!.value, 99);
  });
  await withPool<unknown, unknown>({ source: "n => n" }, { size: 1 }, async (pool) => {
    const waits = [() => 1, () => 2, 3].map((input) => follow(pool.submit(input)));
    await settled(waits);
    assertEquals(waits.map(({ state }) => state), ["rejected", "rejected", "fulfilled"]);
  });
});

Deno.test("ThreadPool: a function that cannot be loaded fails every task, and is a usage error", async () => {
  const fixture = (name: string) => new URL(`../fixtures/thread/${name}`, import.meta.url);
  const cases: [ConstructorParameters<typeof ThreadPool>[0], RegExp][] = [
    [{ source: "n =>" }, /^cannot run the function 'n =>': SyntaxError: /],
    [{ source: "nothing" }, /: ReferenceError: nothing is not defined$/],
    [{ source: "n => n), (n => n" }, /^cannot run the function 'n => n\), \(n => n': SyntaxError: /],
    [{ source: "42" }, /^cannot run the function '42': it must be a function: received number$/],
    [{ source: "null" }, /received null$/],
    [{ source: "Deno.exit(1)" }, /: the Worker died: it called Deno.exit\(\)$/],
    [{ module: fixture("missing.js") }, /^cannot run 'default' of module 'file:.*missing\.js': .*not found/i],
    [
      { module: fixture("functions.js"), export: "nope" },
      /: it has no export 'nope', only default, list, triple$/,
    ],
    [{ module: fixture("functions.js"), export: "list" }, /: it must be a function: received object$/],
    [{ module: fixture("throws.js") }, /: Error: while it loads$/],
    [{ module: "no url at all" }, /^cannot run 'default' of module 'no url at all': /],
  ];
  for (const [fn, pattern] of cases) {
    const pool = new ThreadPool<number, number>(fn, { size: 2 });
    const waits = [follow(pool.submit(1)), follow(pool.submit(2)), follow(pool.ready())];
    await settled(waits);
    for (const { reason } of waits) {
      assertInstanceOf(reason, UsageError);
      assert(pattern.test(reason.message), reason.message);
      assert(!reason.message.includes("\n"));
    }
    await assertRejects(() => pool.submit(3), UsageError);
    await assertRejects(() => pool.ready(), UsageError);
    await pool.shutdown();
    assertEquals(pool.statistics().workers, 0);
  }
});

Deno.test("ThreadPool.ready() resolves once a Worker has loaded the function, and can be given up", async () => {
  await withPool(SQUARE, { size: 2 }, async (pool) => {
    await Promise.all([pool.ready(), pool.ready()]);
    assertEquals(pool.statistics().workers, 1);
    await pool.ready();
  });
  await withPool({ source: "await new Promise(() => {})" }, { size: 1 }, async (pool) => {
    await assertRejects(() => pool.ready(), UsageError);
  });
  await withPool({ source: "(() => { for (const endMs = Date.now() + 5_000; Date.now() < endMs;); })()" }, {
    size: 1,
  }, async (pool) => {
    await assertRejects(() => pool.ready({ timeoutMs: 20 }), TimeoutError);
    const wait = start((signal) => pool.ready({ signal }));
    wait.controller.abort("enough");
    await settled([wait]);
    assertEquals(wait.reason, "enough");
    const last = follow(pool.ready());
    await pool.cancel();
    await settled([last]);
    assertInstanceOf(last.reason, ClosedError);
  });
});

Deno.test("ThreadPool runs as many tasks at once as it has Workers, which it starts as there is work", async () => {
  const { input, begun, open } = gate();
  await withPool(GATED, { size: 3 }, async (pool) => {
    assertEquals(pool.statistics().workers, 0);
    const first = follow(pool.submit(input("first")));
    await begun(1);
    assertEquals(pool.statistics().workers, 1);
    const rest = Array.from({ length: 5 }, (_, n) => follow(pool.submit(input(n))));
    await begun(3);
    await reaching(pool, { workers: 3, running: 3, waiting: 3 });
    open();
    await settled([first, ...rest]);
    assertEquals(rest.map(({ value }) => value), [0, 1, 2, 3, 4]);
  });
});

Deno.test("ThreadPool: a task does not wait behind a long one while a Worker is free", async () => {
  await withPool<{ cells?: Int32Array }, string>(
    {
      source:
        "({ cells }) => { while (cells && Atomics.load(cells, 1) === 0) Atomics.wait(cells, 1, 0, 2); return 'done'; }",
    },
    { size: 2 },
    async (pool) => {
      // The pool has learned that tasks are short, and sends many at a time.
      await Promise.all(Array.from({ length: 5_000 }, () => pool.submit({})));
      const { cells, open } = gate();
      const long = follow(pool.submit({ cells }));
      const short = Array.from({ length: 400 }, () => follow(pool.submit({})));
      await settled(short);
      assertEquals(long.state, "waiting");
      open();
      await settled([long]);
    },
  );
});

Deno.test("ThreadPool moves what is to be transferred, with the input and with the result", async () => {
  const source = "(bytes, { transfer }) => { bytes[0] += 1; transfer(bytes.buffer); return bytes; }";
  await withPool<Uint8Array, Uint8Array>({ source }, { size: 2 }, async (pool) => {
    const inputs = Array.from({ length: 20 }, (_, n) => new Uint8Array(1_000).fill(n));
    const results = await Promise.all(
      inputs.map((bytes) => pool.submit(bytes, { transfer: [bytes.buffer] })),
    );
    assertEquals(inputs.map(({ length }) => length), Array(20).fill(0));
    assertEquals(
      results.map((bytes) => [bytes.length, bytes[0], bytes[1]]),
      Array.from({ length: 20 }, (_, n) => [1_000, n + 1, n]),
    );
    const buffer = new ArrayBuffer(8, { maxByteLength: 8 });
    await assertRejects(() => pool.submit(new Uint8Array(buffer), { transfer: [buffer, buffer] }));
  });
});

Deno.test("ThreadPool.submit() with a timeout ends the Worker of a task that never ends, and runs its other tasks elsewhere", async () => {
  const deaths: WorkerDeath[] = [];
  const onWorkerDeath = (death: WorkerDeath) => void deaths.push(death);
  await withPool(ANYTHING, { size: 1, onWorkerDeath }, async (pool) => {
    await Promise.all(Array.from({ length: 3_000 }, () => pool.submit({ do: "return" })));
    // The Worker is warm, so that the task has begun long before this.
    const hanging = follow(pool.submit({ do: "hang" }, { timeoutMs: 2_000 }));
    const others = Array.from({ length: 100 }, (_, value) => follow(pool.submit({ do: "return", value })));
    await settled([hanging, ...others]);
    assertInstanceOf(hanging.reason, TimeoutError);
    assertEquals(others.map(({ value }) => value), Array.from({ length: 100 }, (_, n) => n));
    assertEquals(deaths.map(({ worker, reason }) => [worker, reason]), [[1, hanging.reason]]);
  });
});

Deno.test("ThreadPool.submit() with a timeout stops a loop that never ends", async () => {
  const source = "({ cells, rounds }) => { for (let n = 0; n < rounds; n++) Atomics.add(cells, 0, 1); }";
  await withPool({ source }, { size: 1 }, async (pool) => {
    const { cells } = gate();
    await assertRejects(() => pool.submit({ cells, rounds: Infinity }, { timeoutMs: 30 }), TimeoutError);
    await eventually(async () => {
      const seen = Atomics.load(cells, 0);
      // While another loop comes to its end, that one does not move.
      await pool.submit({ cells: gate().cells, rounds: 1_000_000 });
      assertEquals(Atomics.load(cells, 0), seen);
    });
  });
});

Deno.test({
  name: "ThreadPool ends a Worker that takes too much memory, and fails its task alone",
  ignore: Deno.build.os !== "linux",
  async fn() {
    // It stops by itself where a Worker in a loop is not ended, and then holds on to what it has.
    const source = `(isGreedy) => {
      const all = [];
      while (isGreedy && all.length < 1_000) all.push(new Uint8Array(2 ** 20).fill(1));
      return isGreedy ? new Promise(() => {}) : "modest";
    }`;
    await withPool<boolean, string>({ source }, { size: 2, memoryBytes: 2 ** 28 }, async (pool) => {
      const greedy = follow(pool.submit(true));
      const modest = Array.from({ length: 50 }, () => follow(pool.submit(false)));
      await settled([greedy, ...modest]);
      assertInstanceOf(greedy.reason, WorkerDiedError);
      assertStringIncludes(greedy.reason.message, "took more than 0.25 GiB of memory");
      assertEquals(new Set(modest.map(({ value }) => value)), new Set(["modest"]));
    });
  },
});

Deno.test("ThreadPool.submit() that is cancelled before its turn never runs, and leaves no listener", async () => {
  await withPool(GATED, { size: 1 }, async (pool) => {
    const { input, begun, open, cells } = gate();
    const first = follow(pool.submit(input()));
    await begun(1);
    const { signal, listeners } = countingSignal();
    const controller = new AbortController();
    const cancelled = [
      follow(pool.submit(input(), { timeoutMs: 0 })),
      follow(pool.submit(input(), { signal: AbortSignal.any([controller.signal]) })),
    ];
    const counted = follow(pool.submit(input("counted"), { signal, timeoutMs: 20_000 }));
    assertEquals(listeners(), 1);
    controller.abort("enough");
    await settled(cancelled);
    assertInstanceOf(cancelled[0]!.reason, TimeoutError);
    assertEquals(cancelled[1]!.reason, "enough");
    assertEquals(first.state, "waiting");
    open();
    await settled([first, counted]);
    assertEquals([counted.value, listeners(), Atomics.load(cells, 0)], ["counted", 0, 2]);
  });
});

Deno.test("ThreadPool.submit() refuses what makes no sense", async () => {
  await withPool(SQUARE, { size: 1 }, async (pool) => {
    await assertRejects(() => pool.submit(1, { timeoutMs: -1 }), RangeError, "timeoutMs");
    await assertRejects(() => pool.submit(1, { timeoutMs: NaN }), RangeError, "timeoutMs");
    await assertRejects(() => collect(pool.map([], { ahead: 0 })), RangeError, "ahead");
    const wait = follow(pool.submit(1, { signal: AbortSignal.abort("early") }));
    await settled([wait]);
    assertEquals([wait.reason, pool.statistics().workers], ["early", 0]);
  });
  for (const size of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(() => new ThreadPool(SQUARE, { size }), RangeError, "size");
  }
  assertThrows(() => new ThreadPool(SQUARE, { idleMs: -1 }), RangeError, "idleMs");
});

Deno.test("ThreadPool: a task under which three Workers died without it running fails, and does not go round for ever", async () => {
  // Each of them arms the end of its Worker and is done; what comes behind it in the same Worker is not to blame.
  const source = "() => new Promise(() => queueMicrotask(() => self.close()))";
  await withPool<undefined, void>({ source }, { size: 1 }, async (pool) => {
    const waits = [1, 2, 3].map(() => follow(pool.submit(undefined)));
    await settled(waits);
    for (const { reason } of waits) assertInstanceOf(reason, WorkerDiedError);
  });
});

Deno.test("ThreadPool tells of each Worker that died, and not of those that it ends itself", async () => {
  const deaths: WorkerDeath[] = [];
  {
    await using pool = new ThreadPool<object, unknown>(ANYTHING, {
      size: 1,
      onWorkerDeath: (death) => void deaths.push(death),
    });
    await pool.submit({ do: "return" });
    await assertRejects(() => pool.submit({ do: "close" }), WorkerDiedError, "it called self.close()");
    await assertRejects(() => pool.submit({ do: "reject" }), WorkerDiedError, "nobody listens");
    await pool.submit({ do: "return" });
  }
  assertEquals(deaths.map(({ worker }) => worker), [1, 2]);
  for (const { reason } of deaths) assertInstanceOf(reason, WorkerDiedError);
});

Deno.test("ThreadPool tells a task which Worker it runs in", async () => {
  await withPool<unknown, number>({ source: "(_, { worker }) => worker" }, { size: 1 }, async (pool) => {
    assertEquals(await pool.submit(undefined), 1);
  });
});

Deno.test("ThreadPool ends Workers that are idle, and starts new ones when there is work", async () => {
  await withPool<number, number>(SQUARE, { size: 2, idleMs: 1 }, async (pool) => {
    for (const n of [1, 2, 3]) {
      assertEquals(await Promise.all([pool.submit(n), pool.submit(n)]), [n ** 2, n ** 2]);
      await reaching(pool, { workers: 0 });
    }
  });
});

Deno.test("ThreadPool.submit() calls onDone with the outcome", async () => {
  await withPool(ANYTHING, { size: 1 }, async (pool) => {
    const seen: string[] = [];
    const onDone = (outcome: PromiseSettledResult<unknown>) =>
      void seen.push(outcome.status === "fulfilled" ? String(outcome.value) : outcome.reason.message);
    await pool.submit({ do: "return", value: 1 }, { onDone });
    await pool.submit({ do: "throw", value: "bad" }, { onDone }).catch(() => {});
    assertEquals(seen, ["1", "bad"]);
  });
});

Deno.test("ThreadPool.shutdown() takes no more tasks, waits for those there are, and ends the Workers", async () => {
  const { input, begun, open } = gate();
  const pool = new ThreadPool(GATED, { size: 1 });
  const waits = [1, 2, 3].map((n) => follow(pool.submit(input(n))));
  await begun(1);
  await assertRejects(() => pool.shutdown({ timeoutMs: 5 }), TimeoutError);
  await pool.shutdown({ wait: false });
  await assertRejects(() => pool.submit(input()), ClosedError);
  await assertRejects(() => pool.ready(), ClosedError);
  const end = follow(pool.shutdown());
  assertEquals(end.state, "waiting");
  open();
  await settled([end, ...waits]);
  assertEquals(waits.map(({ value }) => value), [1, 2, 3]);
  assertEquals(pool.statistics().workers, 0);
  await new ThreadPool(SQUARE).shutdown();
});

Deno.test("ThreadPool.cancel() fails all tasks, and ends Workers whatever they do", async () => {
  for (const reason of [undefined, "enough"]) {
    const pool = new ThreadPool(ANYTHING, { size: 2 });
    const waits = Array.from({ length: 5 }, () => follow(pool.submit({ do: "hang" })));
    await reaching(pool, { running: 2 });
    await pool.cancel(reason);
    await settled(waits);
    for (const wait of waits) {
      if (reason === undefined) assertInstanceOf(wait.reason, ClosedError);
      else assertEquals(wait.reason, reason);
    }
    assertEquals(pool.statistics(), {
      size: 2,
      workers: 0,
      running: 0,
      waiting: 0,
      succeeded: 0,
      failed: 5,
      closed: true,
    });
    await pool.cancel();
  }
});

Deno.test("ThreadPool.map() yields in the order of the inputs, or as completed", async () => {
  await withPool<number, number>(SQUARE, { size: 2 }, async (pool) => {
    const inputs = Array.from({ length: 3_000 }, (_, n) => n);
    const squares = inputs.map((n) => n ** 2);
    assertEquals(await collect(pool.map(inputs)), squares);
    assertEquals((await collect(pool.map(inputs, { ordered: false }))).toSorted((a, b) => a - b), squares);
    assertEquals(await collect(pool.map([])), []);
  });
  const { cells, open } = gate();
  await withPool(GATED, { size: 2 }, async (pool) => {
    const opened = new Int32Array(new SharedArrayBuffer(8)).fill(1);
    const seen: unknown[] = [];
    const inputs = [{ cells, value: "slow" }, { cells: opened, value: "fast" }];
    for await (const value of pool.map(inputs, { ordered: false })) {
      seen.push(value);
      open();
    }
    assertEquals(seen, ["fast", "slow"]);
  });
});

for (const ordered of [true, false]) {
  const how = ordered ? "ordered" : "as completed";

  Deno.test(`ThreadPool.map() ${how} pulls no further ahead than it may, and closes its source when it is left`, async () => {
    await withPool<number, number>({ source: "n => n" }, { size: 2 }, async (pool) => {
      let pulled = 0;
      let taken = 0;
      let isClosed = false;
      function* endless() {
        try {
          while (true) yield pulled++;
        } finally {
          isClosed = true;
        }
      }
      for await (const _ of pool.map(endless(), { ordered, ahead: 5 })) {
        taken += 1;
        assertLessOrEqual(pulled - taken, 5);
        if (taken === 30) break;
      }
      assert(isClosed);
      assertLessOrEqual(pulled, 35);
      await reaching(pool, { running: 0, waiting: 0 });
      assertEquals(await pool.submit(1), 1);
    });
  });

  Deno.test(`ThreadPool.map() ${how} throws what the function throws, and ends with its signal or its pool`, async () => {
    await withPool(ANYTHING, { size: 2 }, async (pool) => {
      const inputs = [{ do: "return" }, { do: "throw", value: "no" }, { do: "return" }];
      await assertRejects(() => collect(pool.map(inputs, { ordered })), RangeError, "no");
    });
    for (const by of ["signal", "pool"]) {
      await withPool(ANYTHING, { size: 2 }, async (pool) => {
        async function* hanging() {
          yield { do: "return" };
          yield { do: "hang" };
          await new Promise(() => {});
        }
        const wait = start((signal) => collect(pool.map(hanging(), { ordered, signal })));
        await reaching(pool, { succeeded: 1, running: 1 });
        if (by === "signal") wait.controller.abort("enough");
        else await pool.cancel("enough");
        await settled([wait]);
        assertEquals(wait.reason, "enough");
        await reaching(pool, { running: 0, waiting: 0 });
      });
    }
  });
}

/** One step of a random program. */
type Step =
  | { kind: "submit"; what: string; timeoutMs: number | undefined; isMoved: boolean }
  | { kind: "burst"; count: number }
  | { kind: "abort"; index: number }
  | { kind: "pause" };

const STEPS: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("submit" as const),
      what: fc.constantFrom(
        "return",
        "return",
        "return",
        "later",
        "throw",
        "unclonable",
        "close",
        "exit",
        "reject",
        "hang",
      ),
      timeoutMs: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined }),
      isMoved: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("burst" as const), count: fc.integer({ min: 1, max: 600 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("abort" as const), index: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("pause" as const) }) },
);

/** A task of a random program, and what may become of it. */
interface Submitted extends Wait<unknown> {
  what: string;
  value: unknown;
  expected: unknown;
  controller: AbortController;
  isTimed: boolean;
  settlements: number;
  /** How often it ran, and whether it ran after it had settled, as the task itself counts it. */
  runs: Int32Array;
}

Deno.test("ThreadPool: every task of a random program settles once, as it must, and never runs after that", async () => {
  const source = `(input) => {
    Atomics.add(input.runs, 0, 1);
    if (Atomics.load(input.runs, 1) === 1) Atomics.store(input.runs, 2, 1);
    return (${ANYTHING.source})(input);
  }`;
  const run = async (program: Step[], size: number) => {
    const pool = new ThreadPool<object, unknown>({ source }, { size });
    const all: Submitted[] = [];
    const submit = (what: string, timeoutMs: number | undefined, isMoved: boolean) => {
      const runs = new Int32Array(new SharedArrayBuffer(12));
      const controller = new AbortController();
      const expected = all.length;
      // What never ends by itself must have a limit, or the program would not end.
      const limitMs = what === "hang" ? timeoutMs ?? 10 : timeoutMs;
      const buffer = new ArrayBuffer(8);
      const promise = pool.submit({ do: what, value: expected, runs, buffer }, {
        signal: controller.signal,
        ...(limitMs !== undefined && { timeoutMs: limitMs }),
        ...(isMoved && { transfer: [buffer] }),
        onDone: () => {
          submitted.settlements += 1;
          Atomics.store(runs, 1, 1);
        },
      });
      const submitted: Submitted = Object.assign(follow(promise), {
        what,
        expected,
        controller,
        isTimed: limitMs !== undefined,
        settlements: 0,
        runs,
      });
      all.push(submitted);
    };
    for (const step of program) {
      if (step.kind === "submit") submit(step.what, step.timeoutMs, step.isMoved);
      else if (step.kind === "burst") {
        for (let n = 0; n < step.count; n++) submit("return", undefined, false);
      } else if (step.kind === "pause") await pause(2);
      else if (all.length > 0) all[step.index % all.length]!.controller.abort("aborted");
    }
    await pool.shutdown();
    await settled(all);
    for (const { what, state, value, reason, expected, controller, isTimed, settlements, runs } of all) {
      const text = `${what} ${state} ${reason}`;
      assertEquals(settlements, 1, text);
      // A task that is cancelled when its Worker has just claimed it may take its first step before the Worker is ended.
      const wasCancelled = reason === "aborted" || reason instanceof TimeoutError;
      assert(wasCancelled || Atomics.load(runs, 2) === 0, `${text}: ran after it had settled`);
      const isGood = what === "return" || what === "later";
      if (state === "fulfilled") {
        assert(isGood, text);
        assertEquals(value, expected);
        assert(Atomics.load(runs, 0) >= 1, text);
      } else if (reason === "aborted") assert(controller.signal.aborted, text);
      else if (reason instanceof TimeoutError) assert(isTimed, text);
      else if (reason instanceof WorkerDiedError) assert(["close", "exit", "reject"].includes(what), text);
      else assert(what === "throw" || what === "unclonable", text);
    }
    const { workers, running, waiting, succeeded, failed } = pool.statistics();
    assertEquals({ workers, running, waiting }, { workers: 0, running: 0, waiting: 0 });
    assertEquals(succeeded + failed, all.length);
  };
  await fc.assert(
    fc.asyncProperty(fc.array(STEPS, { maxLength: 30 }), fc.integer({ min: 1, max: 3 }), run),
    { numRuns: 30, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
  );
});
