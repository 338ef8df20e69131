/**
 * How often faults happen, and that they happen again.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { UsageError } from "../../../lib/errors.ts";
import {
  type Fate,
  type FaultOptions,
  Faults,
  hasFaults,
  parseFaultPercent,
} from "../../../lib/net/udp_echo/faults.ts";

const percent = fc.integer({ min: 0, max: 1_000 }).map((permille) => permille / 10);
const delay = fc.tuple(fc.nat({ max: 50 }), fc.nat({ max: 50 })).map(([minMs, more]) => ({
  minMs,
  maxMs: minMs + more,
}));
const options: fc.Arbitrary<FaultOptions> = fc.record({
  dropPercent: percent,
  duplicatePercent: percent,
  reorderPercent: percent,
  delay,
  seed: fc.integer(),
});

function fates(options: FaultOptions, count: number): Fate[] {
  const faults = new Faults(options);
  return Array.from({ length: count }, () => ({ ...faults.next() }));
}

/** That a share is what was asked for, as far as five standard deviations of a sample tell. */
function assertShare(found: number, { of, percent }: { of: number; percent: number }): void {
  const expected = of * percent / 100;
  const deviation = Math.sqrt(expected * (1 - percent / 100));
  assert(Math.abs(found - expected) <= 5 * deviation + 1e-9, `${found} of ${of} are not ${percent} %`);
}

Deno.test("Faults happen as often as was asked for, within what a sample tells", () => {
  const of = 20_000;
  fc.assert(
    fc.property(options, (options) => {
      const all = fates(options, of);
      const kept = all.filter(({ isDropped }) => !isDropped);
      const most = 100 - options.dropPercent!;
      assertShare(of - kept.length, { of, percent: options.dropPercent! });
      for (
        const [kind, percent] of [["isDuplicated", "duplicatePercent"], [
          "isReordered",
          "reorderPercent",
        ]] as const
      ) {
        assertShare(kept.filter((fate) => fate[kind]).length, {
          of,
          percent: Math.min(options[percent]!, most),
        });
      }
    }),
    { numRuns: 20, seed: 1 },
  );
});

Deno.test("Faults delay by a time of the range, as often one as another", () => {
  const all = fates({ delay: { minMs: 10, maxMs: 20 }, seed: 3 }, 20_000);
  for (const { delayMs } of all) assert(delayMs >= 10 && delayMs <= 20, String(delayMs));
  assertShare(all.filter(({ delayMs }) => delayMs < 15).length, { of: all.length, percent: 50 });
  assertEquals(fates({ delay: { minMs: 5, maxMs: 5 }, seed: 3 }, 2).map(({ delayMs }) => delayMs), [5, 5]);
});

Deno.test("Faults of one seed are the same again, and of another seed others", () => {
  fc.assert(fc.property(options, (options) => assertEquals(fates(options, 100), fates(options, 100))));
  const some = { dropPercent: 50, duplicatePercent: 50, reorderPercent: 50 };
  assert(
    JSON.stringify(fates({ ...some, seed: 1 }, 100)) !== JSON.stringify(fates({ ...some, seed: 2 }, 100)),
  );
});

Deno.test("Faults of one kind do not change when others happen", () => {
  fc.assert(fc.property(options, percent, (options, duplicatePercent) => {
    const others = (options: FaultOptions) =>
      fates(options, 100).map((fate) => ({ ...fate, isDuplicated: false }));
    assertEquals(others(options), others({ ...options, duplicatePercent }));
  }));
});

Deno.test("Faults of different kinds are drawn apart from each other", () => {
  const all = fates({ dropPercent: 50, duplicatePercent: 25, reorderPercent: 25, seed: 5 }, 20_000);
  const kept = all.filter(({ isDropped }) => !isDropped);
  const both = kept.filter(({ isDuplicated, isReordered }) => isDuplicated && isReordered);
  assertShare(both.length, { of: kept.length, percent: 25 });
});

Deno.test("Faults of 0 % never happen, and those of 100 % always", () => {
  const never = { isDropped: false, isDuplicated: false, isReordered: false, delayMs: 0 };
  assertEquals(fates({ seed: 1 }, 3), [never, never, never]);
  assert(!hasFaults({ seed: 1 }) && hasFaults({ reorderPercent: 1, seed: 1 }));
  const always = { dropPercent: 100, duplicatePercent: 100, reorderPercent: 100, seed: 1 };
  for (const fate of fates(always, 100)) {
    assertEquals(fate, { isDropped: true, isDuplicated: true, isReordered: true, delayMs: 0 });
  }
});

Deno.test("parseFaultPercent() reads 0 % to 100 %, and says what it read instead", () => {
  assertEquals(["0", "5%", "0.1%", "100%"].map(parseFaultPercent), [0, 5, 0.1, 100]);
  for (const text of ["", "%", "-1%", "101%", "5 %", "1e1", "five"]) {
    assertThrows(() => parseFaultPercent(text), UsageError, `received '${text}'`);
  }
  assertThrows(() => new Faults({ dropPercent: NaN, seed: 1 }), UsageError, "received 'NaN'");
});
