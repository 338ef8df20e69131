import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { SpawnError } from "../../lib/errors.ts";
import { Admission } from "../../lib/jobs/admission.ts";
import { adoptsOrphans } from "../../lib/process/descendants.ts";
import { parseHalt } from "../../lib/jobs/halt.ts";
import { type Attempt, type JobEnd, JobPool, type PoolOptions } from "../../lib/jobs/pool.ts";
import { type ChildStatus, spawn } from "../../lib/process/spawn.ts";
import { eventually } from "../cli/conc.ts";
import { turn } from "../helpers.ts";

adoptsOrphans();

/** An attempt that ends when the test says so, or when the pool ends it. */
class FakeAttempt {
  readonly #ended = Promise.withResolvers<ChildStatus>();
  readonly finished: Promise<ChildStatus> = this.#ended.promise;
  cause: string | undefined;

  end(cause: string): Promise<void> {
    this.cause ??= cause;
    this.#ended.resolve({ exitCode: 143, signal: "SIGTERM", cause: this.cause });
    return Promise.resolve();
  }

  exit(exitCode: number): void {
    this.#ended.resolve({ exitCode, signal: undefined, cause: this.cause });
  }

  fail(error: Error): void {
    this.#ended.reject(error);
  }
}

type Outcome = "works" | "fails" | "cannot start" | "throws at start" | "throws later" | "not reported";

interface Job {
  id: number;
  /** How its attempts end, one after the other; the last one again and again. */
  outcomes: Outcome[];
}

/** A pool of fakes that writes down all that happens, and ends attempts in random order. */
class World {
  readonly started: { job: number; slot: number; afterStop: boolean }[] = [];
  readonly ended: JobEnd<Job>[] = [];
  readonly dropped: number[] = [];
  pulled = 0;
  most = 0;
  stopped = false;
  readonly #running = new Map<FakeAttempt, { slot: number; outcome: Outcome }>();
  readonly #random: fc.Stream<number>;
  readonly #jobs: readonly Job[];

  readonly #capacity: number;

  /** @param options `capacity`: how many attempts the system has room for. */
  constructor(
    jobs: readonly Job[],
    random: fc.Stream<number>,
    { capacity = Infinity }: { capacity?: number } = {},
  ) {
    this.#jobs = jobs;
    this.#random = random;
    this.#capacity = capacity;
  }

  options(): Pick<PoolOptions<Job>, "start" | "ended" | "dropped"> {
    return {
      start: (job, { slot, attempt }) => this.#start(job, { slot, attempt }),
      ended: async (end) => {
        this.ended.push(end);
        if (this.#random.next().value % 2 === 0) await turn();
        if (end.job.outcomes.at(-1) === "not reported") throw new RangeError("not reported");
      },
      dropped: ({ id }) => void this.dropped.push(id),
    };
  }

  async *source(): AsyncGenerator<Job> {
    for (const job of this.#jobs) {
      if (this.#random.next().value % 3 === 0) await turn();
      this.pulled += 1;
      yield job;
    }
  }

  /** Ends running attempts one by one until the pool is done. */
  async drive(done: Promise<unknown>): Promise<void> {
    let isDone = false;
    done.then(() => isDone = true, () => isDone = true);
    while (!isDone) {
      await turn();
      const running = [...this.#running.keys()];
      if (running.length === 0) continue;
      const attempt = running[this.#random.next().value % running.length]!;
      const { outcome } = this.#running.get(attempt)!;
      if (outcome === "throws later") attempt.fail(new RangeError(outcome));
      else attempt.exit(outcome === "fails" ? 1 : 0);
    }
  }

  #start(job: Job, { slot, attempt }: { slot: number; attempt: number }): Attempt {
    if (this.#running.size >= this.#capacity) {
      throw new SpawnError("no room", { exitCode: 126, cause: undefined, fault: "shortage" });
    }
    this.started.push({ job: job.id, slot, afterStop: this.stopped });
    const outcome = job.outcomes[attempt - 1] ?? job.outcomes.at(-1)!;
    if (outcome === "cannot start") throw new SpawnError("cannot run", { exitCode: 126, cause: undefined });
    if (outcome === "throws at start") throw new RangeError(outcome);
    const fake = new FakeAttempt();
    assert([...this.#running.values()].every((other) => other.slot !== slot), "a slot is used twice");
    this.#running.set(fake, { slot, outcome });
    this.most = Math.max(this.most, this.#running.size);
    const gone = () => void this.#running.delete(fake);
    fake.finished.then(gone, gone);
    return fake;
  }
}

const outcome = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Outcome>("works") },
  { weight: 3, arbitrary: fc.constant<Outcome>("fails") },
  { weight: 1, arbitrary: fc.constant<Outcome>("cannot start") },
);
const fault = fc.constantFrom<Outcome>("throws at start", "throws later", "not reported");
const jobs = (outcomes: fc.Arbitrary<Outcome>) =>
  fc.array(fc.array(outcomes, { minLength: 1, maxLength: 3 }), { maxLength: 12 })
    .map((all) => all.map((outcomes, id): Job => ({ id, outcomes })));

/** How often each job that was pulled was handed back, in whatever way. */
function assertEachOnce(world: World): void {
  const back = [...world.ended.map(({ job }) => job.id), ...world.dropped].sort((a, b) => a - b);
  assertEquals(back, Array.from({ length: world.pulled }, (_, id) => id));
}

Deno.test("JobPool runs each job until it works or has no try left, never more than slots at once", async () => {
  await fc.assert(
    fc.asyncProperty(
      jobs(outcome),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.infiniteStream(fc.nat()),
      async (jobs, slots, tries, random) => {
        const world = new World(jobs, random);
        const pool = new JobPool({ ...world.options(), slots, tries, admission: new Admission({}) });
        const done = pool.run(world.source());
        await world.drive(done);
        const expected = jobs.map(({ outcomes }) => {
          const tried = Array.from({ length: tries }, (_, index) => outcomes[index] ?? outcomes.at(-1)!);
          const first = tried.indexOf("works");
          return { attempts: first < 0 ? tries : first + 1, isSuccess: first >= 0 };
        });
        const succeeded = expected.filter(({ isSuccess }) => isSuccess).length;
        assertEquals(await done, { succeeded, failed: jobs.length - succeeded, cut: 0, halted: false });
        assertEachOnce(world);
        assertEquals(world.dropped, []);
        for (const { job, attempts } of world.ended) assertEquals(attempts, expected[job.id]!.attempts);
        assert(world.most <= slots, `${world.most} of ${slots} slots`);
        assert(world.started.every(({ slot }) => slot >= 1 && slot <= slots));
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("JobPool runs no more jobs than the system has room for, and fails one only if there is room for none", async () => {
  await fc.assert(
    fc.asyncProperty(
      jobs(outcome),
      fc.integer({ min: 0, max: 3 }),
      fc.option(fc.nat(20), { nil: undefined }),
      fc.infiniteStream(fc.nat()),
      async (jobs, capacity, stopAfter, random) => {
        const world = new World(jobs, random, { capacity });
        const stop = new AbortController();
        const options = { slots: 6, tries: 2, admission: new Admission({}), signal: stop.signal };
        const pool = new JobPool({ ...world.options(), ...options });
        const done = pool.run(world.source());
        const stopping = (async () => {
          for (let i = 0; i < (stopAfter ?? 0); i++) await turn();
          if (stopAfter !== undefined) stop.abort(new Error("stop"));
        })();
        await Promise.all([world.drive(done), stopping]);
        await turn();
        await turn();
        assertEachOnce(world);
        assert(world.most <= capacity, `${world.most} where there is room for ${capacity}`);
        const isShort = ({ error }: JobEnd<Job>) => error?.fault === "shortage";
        assertEquals(world.ended.every(isShort), capacity === 0 || world.ended.length === 0);
        if (capacity > 0) assert(!world.ended.some(isShort));
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("JobPool starts nothing after a stop, and hands each pulled job back exactly once", async () => {
  await fc.assert(
    fc.asyncProperty(
      jobs(outcome),
      fc.integer({ min: 1, max: 4 }),
      fc.nat(20),
      fc.infiniteStream(fc.nat()),
      async (jobs, slots, stopAfter, random) => {
        const world = new World(jobs, random);
        const stop = new AbortController();
        const options = { slots, tries: 2, admission: new Admission({}), signal: stop.signal };
        const pool = new JobPool({ ...world.options(), ...options });
        const done = pool.run(world.source());
        const stopping = (async () => {
          for (let i = 0; i < stopAfter; i++) await turn();
          world.stopped = true;
          stop.abort(new Error("stop"));
        })();
        await Promise.all([world.drive(done), stopping]);
        // A job that was being pulled arrives a little later.
        await turn();
        await turn();
        assert(world.started.every(({ afterStop }) => !afterStop));
        assertEachOnce(world);
        const { succeeded, failed, cut } = await done;
        assertEquals(succeeded + failed + cut, world.ended.length);
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("JobPool rejects with the first fault, and still hands each pulled job back exactly once", async () => {
  await fc.assert(
    fc.asyncProperty(
      jobs(outcome),
      fault,
      fc.nat(11),
      fc.integer({ min: 1, max: 4 }),
      fc.infiniteStream(fc.nat()),
      async (jobs, fault, position, slots, random) => {
        const faulty = [...jobs, { id: 0, outcomes: [fault] }];
        [faulty[faulty.length - 1], faulty[position % faulty.length]] = [
          faulty[position % faulty.length]!,
          faulty.at(-1)!,
        ];
        const all = faulty.map(({ outcomes }, id) => ({ id, outcomes }));
        const world = new World(all, random);
        const pool = new JobPool({ ...world.options(), slots, admission: new Admission({}) });
        const done = pool.run(world.source());
        await world.drive(done);
        await assertRejects(() => done, RangeError, fault);
        await turn();
        await turn();
        assertEachOnce(world);
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("JobPool rejects with what its source threw, after what runs has ended", async () => {
  const fake = new FakeAttempt();
  const ends: number[] = [];
  const pool = new JobPool<number>({
    slots: 2,
    admission: new Admission({}),
    start: () => fake,
    ended: ({ job }) => Promise.resolve(void ends.push(job)),
    dropped: () => {},
  });
  const done = pool.run((async function* () {
    yield 1;
    throw new RangeError("no more inputs");
  })());
  const rejected = assertRejects(() => done, RangeError, "no more inputs");
  await turn();
  assertEquals([pool.running, ends], [1, []]);
  fake.exit(0);
  await rejected;
  assertEquals(ends, [1]);
});

Deno.test("JobPool halts at once with now, and lets jobs finish with soon", async () => {
  for (const when of ["now", "soon"] as const) {
    const fakes: FakeAttempt[] = [];
    const ends: [number, string | undefined][] = [];
    const pool = new JobPool<number>({
      slots: 2,
      admission: new Admission({}),
      halt: parseHalt(`${when},fail=1`),
      start: () => {
        const fake = new FakeAttempt();
        fakes.push(fake);
        return fake;
      },
      ended: ({ job, status }) => Promise.resolve(void ends.push([job, status.cause])),
      dropped: () => {},
    });
    const done = pool.run((async function* () {
      for (let job = 1; job <= 9; job++) yield job;
    })());
    await eventually("two run", () => fakes.length === 2);
    fakes[0]!.exit(1);
    await eventually("one has ended", () => ends.length > 0);
    await turn();
    if (when === "soon") fakes[1]!.exit(0);
    const summary = await done;
    assertEquals(fakes.length, 2);
    const isCut = when === "now";
    assertEquals(ends, [[1, undefined], [2, isCut ? "halted" : undefined]]);
    assertEquals(summary, { succeeded: isCut ? 0 : 1, failed: 1, cut: isCut ? 1 : 0, halted: true });
  }
});

Deno.test("JobPool takes a job that failed, and was to be tried again when the pool stopped, for cut off", async () => {
  const ended: JobEnd<number>[] = [];
  const stop = new AbortController();
  const pool = new JobPool<number>({
    slots: 1,
    tries: 2,
    retryDelayMs: 3_600_000,
    admission: new Admission({}),
    start: () => {
      const attempt = new FakeAttempt();
      attempt.exit(1);
      return attempt;
    },
    observe: () => setTimeout(() => stop.abort(new Error("stop"))),
    ended: (end) => Promise.resolve(void ended.push(end)),
    dropped: () => {},
    signal: stop.signal,
  });
  async function* source() {
    yield* [1, 2];
  }
  assertEquals(await pool.run(source()), { succeeded: 0, failed: 0, cut: 1, halted: false });
  assertEquals(ended.map(({ attempts, status }) => [attempts, status.cause]), [[1, "interrupted"]]);
});

Deno.test("JobPool opens no more slots than there are jobs", async () => {
  const started: number[] = [];
  const pool = new JobPool<number>({
    slots: 1_000_000,
    admission: new Admission({}),
    start: (_job, { slot }) => {
      started.push(slot);
      const fake = new FakeAttempt();
      queueMicrotask(() => fake.exit(0));
      return fake;
    },
    ended: () => Promise.resolve(),
    dropped: () => {},
  });
  await pool.run((async function* () {
    yield* [1, 2, 3];
  })());
  assert(started.every((slot) => slot <= 3));
  assertEquals(started.length, 3);
});

Deno.test("JobPool ends a job whose time ran out with 124, and a fast one stays", async () => {
  const ends: JobEnd<string>[] = [];
  const pool = new JobPool<string>({
    slots: 2,
    admission: new Admission({}),
    timeout: { ms: 300 },
    killAfterMs: 200,
    start: (script) => {
      const child = spawn(["sh", "-c", script]);
      return { finished: child.status, end: (cause, options) => child.end(cause, options) };
    },
    ended: (end) => Promise.resolve(void ends.push(end)),
    dropped: () => {},
  });
  // The second ignores the signal that asks.
  const scripts = ["exec sleep 300", "trap '' TERM; while :; do sleep 0.05; done"];
  const summary = await pool.run((async function* () {
    yield* scripts;
  })());
  assertEquals([summary.failed, summary.cut], [2, 0]);
  for (const { status } of ends) assertEquals([status.cause, status.exitCode], ["timeout", 124]);
});

Deno.test("JobPool with a timeout of percent ends what takes much longer than the median", async () => {
  const ends: JobEnd<string>[] = [];
  const pool = new JobPool<string>({
    slots: 1,
    admission: new Admission({}),
    timeout: { percent: 1_000 },
    start: (script) => {
      const child = spawn(["sh", "-c", script]);
      return { finished: child.status, end: (cause, options) => child.end(cause, options) };
    },
    ended: (end) => Promise.resolve(void ends.push(end)),
    dropped: () => {},
  });
  await pool.run((async function* () {
    yield* ["sleep 0.1", "sleep 0.1", "sleep 0.1", "exec sleep 300"];
  })());
  assertEquals(ends.map(({ status }) => status.cause), [undefined, undefined, undefined, "timeout"]);
});
