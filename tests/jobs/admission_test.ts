import { assert, assertEquals, assertGreaterOrEqual, assertRejects } from "@std/assert";
import fc from "fast-check";
import { Admission, type Machine, THIS_MACHINE } from "../../lib/jobs/admission.ts";
import { turn } from "../helpers.ts";

/** A machine that is asked right before each start, so that what it writes down is never later than the start. */
class ObservingMachine implements Machine {
  readonly askedAtMs: number[] = [];
  runningNow = 0;
  available = Infinity;

  running(): number {
    this.askedAtMs.push(performance.now());
    return this.runningNow;
  }

  processors(): number {
    return 4;
  }

  availableBytes(): number {
    return this.available;
  }
}

Deno.test("Admission.admit() keeps starts at least delayMs apart, however many wait", async () => {
  const machine = new ObservingMachine();
  const admission = new Admission({ delayMs: 20, loadPercent: 100, machine });
  await Promise.all(Array.from({ length: 6 }, () => admission.admit()));
  assertEquals(machine.askedAtMs.length, 6);
  for (let i = 1; i < 6; i++) assertGreaterOrEqual(machine.askedAtMs[i]! - machine.askedAtMs[i - 1]!, 20);
});

Deno.test("Admission.admit() admits no more in any time than the rate and what 50 ms of it make up for", async () => {
  const machine = new ObservingMachine();
  const admission = new Admission({ ratePerSecond: 100, loadPercent: 100, machine });
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 10; i++) await admission.admit();
    // The caller is late now, and some of that is made up for: the second start needs no timer either.
    const lateMs = machine.askedAtMs.at(-1)! + 100;
    while (performance.now() < lateMs) await turn();
    let admitted = 0;
    const admissions = Array.from({ length: 5 }, () => admission.admit().then(() => admitted += 1));
    for (let i = 0; i < 100; i++) await Promise.resolve();
    assertGreaterOrEqual(admitted, 2);
    await Promise.all(admissions);
  }
  const at = machine.askedAtMs;
  assertEquals(at.length, 30);
  for (let i = 0; i < at.length; i++) {
    for (let j = i + 1; j < at.length; j++) assertGreaterOrEqual(at[j]! - at[i]!, (j - i) * 10 - 50 - 1e-6);
  }
});

Deno.test("Admission.admit() waits while the load is at the limit", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(8), fc.integer({ min: 1, max: 200 }), async (running, loadPercent) => {
      const machine = new ObservingMachine();
      machine.runningNow = running;
      const stop = new AbortController();
      const admission = new Admission({ loadPercent, machine });
      let isAdmitted = false;
      const admitted = admission.admit({ signal: stop.signal }).then(() => isAdmitted = true, () => {});
      for (let i = 0; i < 5; i++) await Promise.resolve();
      await turn();
      assertEquals(isAdmitted, running / 4 < loadPercent / 100);
      stop.abort();
      await admitted;
    }),
    { numRuns: 30 },
  );
});

Deno.test("Admission.admit() goes on once memory is free again", async () => {
  const machine = new ObservingMachine();
  machine.available = 99;
  const admission = new Admission({ memfreeBytes: 100, machine });
  let isAdmitted = false;
  const admitted = admission.admit().then(() => isAdmitted = true);
  await turn();
  assert(!isAdmitted);
  machine.available = 100;
  await admitted;
});

Deno.test("Admission.admit() rejects with the signal's reason, and takes no start away from others", async () => {
  const machine = new ObservingMachine();
  machine.available = 0;
  const admission = new Admission({ memfreeBytes: 1, machine });
  const stop = new AbortController();
  const cancelled = admission.admit({ signal: stop.signal });
  const other = admission.admit();
  stop.abort(new RangeError("stopped"));
  await assertRejects(() => cancelled, RangeError, "stopped");
  machine.available = 1;
  await other;
  const aborted = AbortSignal.abort(new RangeError("before"));
  await assertRejects(() => admission.admit({ signal: aborted }), RangeError, "before");
});

Deno.test("Admission.admit() admits at once what has no condition", async () => {
  const admission = new Admission({});
  for (let i = 0; i < 1_000; i++) await admission.admit();
});

Deno.test("THIS_MACHINE tells plausible numbers", () => {
  assertGreaterOrEqual(THIS_MACHINE.running(), 0);
  assertGreaterOrEqual(THIS_MACHINE.processors(), 1);
  assertGreaterOrEqual(THIS_MACHINE.availableBytes(), 1);
});
