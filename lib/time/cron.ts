/**
 * Cron lines: when they are due.
 *
 * @module
 */

import { Cron as Croner } from "croner";
import { UsageError } from "../errors.ts";
import { localZone } from "./zone.ts";

/** Options of {@link Cron}. */
export interface CronOptions {
  /** Whose clocks the line means: an IANA name. Default: the zone of this machine. */
  zone?: string;
}

const NAMES = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/**
 * A cron line: minute, hour, day of month, month, day of week (crontab(5)), or six fields with seconds before them, or a name such
 * as `@daily`. Beyond crontab(5), `L` is the last day, `5#2` the second Friday, `15W` the weekday nearest to the 15th. If both
 * days are restricted, either one will do.
 *
 * Where clocks change, it does what Vixie cron does. A line whose seconds, minutes and hours are numbers, lists or ranges is for
 * times of day: what falls into hours that are skipped runs at the first moment after them, and in hours that come twice it
 * runs the first time only. A line with `*` or a step there is for intervals: what is skipped is left out, what comes
 * twice runs twice.
 *
 * Invariant: `next(t)` is more than t, and no time that the line is due lies between them.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const cron = new Cron("30 2 * * *", { zone: "Europe/Berlin" });
 * const next = cron.next(Date.parse("2026-03-28T12:00:00Z"))!;
 * assertEquals(new Date(next).toISOString(), "2026-03-29T01:00:00.000Z");
 * ```
 */
export class Cron {
  readonly #cron: Croner;
  /** Whose clocks the line means. */
  readonly zone: string;

  /**
   * @param line The cron line.
   * @throws {UsageError} If it cannot be read.
   */
  constructor(line: string, { zone = localZone() }: CronOptions = {}) {
    this.zone = zone;
    const text = line.trim();
    const fields = text.split(/\s+/).length;
    const isName = text.startsWith("@");
    if (isName ? !NAMES.includes(text.toLowerCase()) : fields !== 5 && fields !== 6) {
      throw noCron(line, `it must have 5 or 6 fields, or be one of ${NAMES.join(" ")}`);
    }
    if (text.includes(":")) throw noCron(line, "a field holds numbers, names and * , - / only");
    try {
      this.#cron = new Croner(text, {
        timezone: zone,
        mode: "5-or-6-parts",
        fixedTimeRule: "no-wildcard",
        paused: true,
      });
    } catch (error) {
      throw noCron(line, error instanceof Error ? problem(error) : String(error));
    }
  }

  /**
   * When it is due next.
   *
   * @param afterMs Milliseconds since the epoch.
   * @returns Milliseconds since the epoch, more than `afterMs`; undefined if it is never due again.
   */
  next(afterMs: number): number | undefined {
    return this.#cron.nextRun(new Date(afterMs))?.getTime();
  }
}

/**
 * Reads a cron line that is due some day.
 *
 * @param line The cron line.
 * @param options `zone`: whose clocks the line means; `nowMs`: the wall-clock time. Default: those of this machine.
 * @throws {UsageError} If it cannot be read, or is never due again, such as on the 30th of February.
 *
 * @example
 * ```ts
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * assertEquals(parseCron("@daily", { zone: "UTC" }).zone, "UTC");
 * assertThrows(() => parseCron("0 0 30 2 *"), Error, "never due");
 * ```
 */
export function parseCron(
  line: string,
  { zone, nowMs = Date.now() }: CronOptions & { nowMs?: number } = {},
): Cron {
  const cron = new Cron(line, zone === undefined ? {} : { zone });
  if (cron.next(nowMs) !== undefined) return cron;
  throw new UsageError(`cannot wait for a cron line that is never due: give one that is: received '${line}'`);
}

/** What croner says is wrong, in the middle of our sentence. */
function problem(error: Error): string {
  return error.message.replace(/^\w+: /, "").replace(/^Syntax error, /, "").replace(/\.$/, "")
    .replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
}

function noCron(line: string, problem: string): UsageError {
  return new UsageError(`cannot read a cron line: ${problem}: received '${line}'`);
}
