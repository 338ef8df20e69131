/**
 * What the conformance suites share.
 *
 * @module
 */

import fc from "fast-check";
import type { Awaitable } from "../../lib/primitives.ts";
import { type Reach, reaches } from "./reach.ts";
import { DEADLINE_MS } from "./waits.ts";

export * from "./waits.ts";

/**
 * Declares a test for every reach.
 *
 * @param title A sentence; the reach is appended.
 * @param options What makes the subject of the test, and the test.
 */
export function conform<S extends object>(
  title: string,
  { make, over = () => true, test }: {
    make: (reach: Reach) => Awaitable<S>;
    /** Which reaches have it. Default: all. */
    over?: (reach: Reach) => boolean;
    test: (subject: S, reach: Reach) => Awaitable<void>;
  },
): void {
  for (const reach of reaches.filter(over)) {
    register(title, reach, async () => {
      const subject = await make(reach);
      await disposing(subject, () => test(subject, reach));
    });
  }
}

/** Runs a random program against each reach, on a fresh subject each time. */
export function conformToModel<S extends object, Step>(
  title: string,
  { make, over = () => true, steps, run }: {
    make: (reach: Reach) => Awaitable<S>;
    /** Which reaches have it. Default: all. */
    over?: (reach: Reach) => boolean;
    steps: fc.Arbitrary<Step>;
    run: (subject: S, program: Step[]) => Promise<void>;
  },
): void {
  for (const reach of reaches.filter(over)) {
    register(title, reach, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(steps, { maxLength: 40 }), async (program) => {
          const subject = await make(reach);
          await disposing(subject, () => run(subject, program));
        }),
        {
          numRuns: 100,
          interruptAfterTimeLimit: reach.programsMs ?? DEADLINE_MS,
          markInterruptAsFailure: false,
        },
      );
    });
  }
}

/** A test; skipped where the reach says why it cannot be. */
function register(title: string, { name, lacks = {} }: Reach, fn: () => Promise<void>): void {
  const reason = Object.entries(lacks).find(([beginning]) => title.startsWith(beginning))?.[1];
  const ignore = reason !== undefined;
  Deno.test({ name: ignore ? `${title} (${name}: ${reason})` : `${title} (${name})`, ignore, fn });
}

async function disposing(subject: object, run: () => Awaitable<void>): Promise<void> {
  try {
    await run();
  } finally {
    await (subject as Partial<AsyncDisposable>)[Symbol.asyncDispose]?.();
  }
}
