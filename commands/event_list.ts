/**
 * `conc event list`: all events.
 *
 * @module
 */

import type { NamedEventStatus } from "../lib/named.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { table } from "../lib/report/table.ts";
import { formatInZone, localZone } from "../lib/time/zone.ts";
import { say } from "./context.ts";
import { command } from "./declaration.ts";
import { eventRecord } from "./event_flags.ts";
import { SUCCESS } from "./exit_code.ts";
import { openReach } from "./reach.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

const HEADINGS = ["NAME", "STATE", "GENERATION", "WAITING", "SINCE", "DATA"];

export default command<StoreFlags>({
  brief: "List all events: whether each is set, its data, how many wait",
  description: `The generation counts how often it was set or pulsed; SINCE is when it was set,
cleared or pulsed last. On a terminal lines are cut at its width.

--json prints one record of type event for each: name, set, generation, data,
waiting, since.`,
  examples: [
    { line: "conc event list", does: "In columns" },
    { line: "conc event set db-ready && conc event list --json", does: "For programs" },
  ],
  words: { usage: "", minimum: 0, maximum: 0 },
  flags: STORE_FLAGS,
  async run(context, flags) {
    await using reach = await openReach(context, flags);
    const events = await reach.events();
    if (flags.json) {
      const record = (event: NamedEventStatus) => ({
        ...eventRecord(event.name, event),
        since: event.since.toISOString(),
      });
      await context.stdout.write(events.map((event) => ndjson(record(event))).join(""));
    } else if (events.length > 0) {
      const zone = localZone();
      const rows = events.map(({ name, set, generation, waiting, since, data = "" }) => [
        ...[name, set ? "set" : "clear", String(generation), String(waiting)],
        ...[formatInZone(since.getTime(), zone), data],
      ]);
      const options = context.stdout.isTerminal ? { columns: context.columns() } : {};
      await context.stdout.write(table([HEADINGS, ...rows], options));
    } else if (!flags.quiet) await say(context, "there is no event: conc event set makes one");
    return SUCCESS;
  },
});
