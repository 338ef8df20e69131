/**
 * `conc timer next`: print when a cron line is due.
 *
 * @module
 */

import { ndjson } from "../lib/report/ndjson.ts";
import { parseCron } from "../lib/time/cron.ts";
import { formatInZone, localZone } from "../lib/time/zone.ts";
import { parseCount } from "../lib/units.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { ZONE_FLAGS, type ZoneFlags } from "./timer_flags.ts";

type NextFlags = ZoneFlags & { count: number };

export default command<NextFlags>({
  brief: "Print when a cron line is due",
  description: `One time a line, in ISO 8601, as conc timer cron would run it, changes of the
clocks included.`,
  examples: [
    { line: "conc timer next '0 9 * * MON-FRI'", does: "The next five working days at nine" },
    {
      line: "conc timer next '30 2 * * *' --tz Europe/Berlin -n 400",
      does: "Over both changes of the clocks",
    },
    { line: "conc timer next @monthly -n 12 --json", does: "For programs" },
  ],
  words: { usage: "EXPR", minimum: 1, maximum: 1 },
  flags: {
    count: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      default: "5",
      placeholder: "N",
      brief: "How many times to print",
    },
    ...ZONE_FLAGS,
  },
  aliases: { n: "count" },
  run: runNext,
});

async function runNext(
  context: Context,
  { count, tz: zone = localZone(), json }: NextFlags & CommonFlags,
  [line = ""]: string[],
): Promise<number> {
  const cron = parseCron(line, { zone, nowMs: context.now() });
  let dueMs = cron.next(context.now());
  for (let number = 1; number <= count && dueMs !== undefined; number++) {
    const localTime = formatInZone(dueMs, zone).replace(".000", "");
    const scheduledAt = new Date(dueMs).toISOString();
    await context.stdout.write(
      json ? ndjson({ type: "time", number, scheduledAt, localTime, zone }) : `${localTime}\n`,
    );
    dueMs = cron.next(dueMs);
  }
  return SUCCESS;
}
