/**
 * Processes on two hosts are killed at random moments, and one of the hosts is cut off from the broker again and again.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { BROKER_URL } from "./broker.ts";
import { chaos, CHAOS_SECONDS, CHAOS_SEED } from "./chaos.ts";
import { hostsTest } from "./two_hosts.ts";

/** Longer than a cut link takes to be noticed at both ends, with a heartbeat of 1 s. */
const CUT_MS = 4_000;

hostsTest(
  `the primitives keep their promises while processes on two hosts are killed, and cut off (seed ${CHAOS_SEED})`,
  (one, other) =>
    chaos(BROKER_URL!, {
      places: [one, other].map((host) => ({
        url: `${host.url}?heartbeat=1`,
        command: (words, options) => host.command(words, options),
      })),
      turmoil: async ({ random, outage }) => {
        const endMs = performance.now() + CHAOS_SECONDS * 1_000;
        while (performance.now() < endMs) {
          await delay(500 + random() * 1_000);
          await outage(async () => {
            await other.cut();
            await delay(CUT_MS);
            await other.mend();
          });
        }
      },
    }),
);
