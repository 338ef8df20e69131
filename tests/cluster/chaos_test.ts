/**
 * Processes that use a broker are killed at random moments, the broker is restarted and killed, and the link of some of them is cut.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { brokerFaultTest, control, Link } from "./broker.ts";
import { chaos, CHAOS_SECONDS, CHAOS_SEED, type Place } from "./chaos.ts";

/** Longer than a cut link takes to be noticed at both ends, with a heartbeat of 1 s. */
const CUT_MS = 4_000;

brokerFaultTest(
  `the primitives keep their promises while processes are killed, the broker restarts and a link is cut (seed ${CHAOS_SEED})`,
  async (url) => {
    await using link = new Link(url, "?heartbeat=1");
    const places = [`${url}?heartbeat=1`, link.url].map((url): Place => ({
      url,
      command: ([program = "", ...args], options) => new Deno.Command(program, { args, ...options }),
    }));
    await chaos(url, {
      places,
      turmoil: async ({ outage }) => {
        const restart = (way: "stop" | "kill") =>
          outage(async () => {
            await control(way);
            await control("start");
          });
        await delay(CHAOS_SECONDS * 250);
        await restart("kill");
        await delay(CHAOS_SECONDS * 150);
        await outage(async () => {
          link.cut();
          await delay(CUT_MS);
          link.mend();
        });
        await delay(CHAOS_SECONDS * 150);
        await restart("stop");
        await delay(CHAOS_SECONDS * 250);
      },
    });
  },
);
