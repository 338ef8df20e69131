import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import type { Context } from "../../commands/context.ts";
import { runCommandLine } from "../../commands/run.ts";
import { jitterOptions } from "../../commands/timer_flags.ts";
import { UsageError } from "../../lib/errors.ts";
import { records } from "../cli/conc.ts";
import { fakeContext } from "./helpers.ts";

/** Runs `conc timer` on a wall clock that shows `now` when it is first looked at, and then goes on. */
async function timer(
  argv: readonly string[],
  now = "2026-11-24T12:00:00Z",
): Promise<{ code: number; text: string }> {
  const { context, out } = fakeContext();
  let startMs: number | undefined;
  const moving: Context = {
    ...context,
    now: () => Math.floor(Date.parse(now) + performance.now() - (startMs ??= performance.now())),
    monotonic: () => performance.now(),
  };
  const code = await runCommandLine(["timer", ...argv], moving);
  return { code, text: out.text };
}

async function next(line: string, { zone, now, count }: { zone: string; now: string; count: number }) {
  const { text } = await timer(["next", line, "--tz", zone, "-n", String(count)], now);
  return text.trimEnd().split("\n");
}

Deno.test("timer next prints times in ISO 8601 with the offset of the zone, five unless told otherwise", async () => {
  const { code, text } = await timer(["next", "0 9 * * MON-FRI", "--tz", "Europe/Berlin"]);
  assertEquals(code, 0);
  assertEquals(text.split("\n"), [
    "2026-11-25T09:00:00+01:00",
    "2026-11-26T09:00:00+01:00",
    "2026-11-27T09:00:00+01:00",
    "2026-11-30T09:00:00+01:00",
    "2026-12-01T09:00:00+01:00",
    "",
  ]);
});

Deno.test("timer next --json prints documented keys", async () => {
  const { text } = await timer(["next", "30 2 * * *", "--tz", "Europe/Berlin", "-n1", "--json"]);
  assertEquals(records(text), [{
    type: "time",
    number: 1,
    scheduledAt: "2026-11-25T01:30:00.000Z",
    localTime: "2026-11-25T02:30:00+01:00",
    zone: "Europe/Berlin",
  }]);
});

Deno.test("timer next is right over both changes of the clocks in 400 days of Berlin", async () => {
  // In the zone data: clocks go forward on 2026-03-29 and 2027-03-28 at 02:00, back on 2026-10-25 at 03:00.
  const winter = (day: string) => `${day}T02:30:00+01:00`;
  const summer = (day: string) => `${day}T02:30:00+02:00`;
  const expected: string[] = [];
  for (let i = 0; i < 400; i++) {
    const day = new Date(Date.UTC(2026, 2, 1) + i * 86_400_000).toISOString().slice(0, 10);
    if (day === "2026-03-29" || day === "2027-03-28") expected.push(`${day}T03:00:00+02:00`);
    else {expected.push(
        (day > "2026-03-29" && day <= "2026-10-25" || day > "2027-03-28" ? summer : winter)(day),
      );}
  }
  const zone = "Europe/Berlin";
  assertEquals(await next("30 2 * * *", { zone, now: "2026-03-01T00:00:00Z", count: 400 }), expected);
});

// What Python's zoneinfo gives for a walk over every minute by the rules of cron(8).
const WALKED: [string, string, string, string[]][] = [
  ["Europe/Berlin", "*/30 * * * *", "2026-10-24T23:30:00Z", [
    "2026-10-25T02:00:00+02:00",
    "2026-10-25T02:30:00+02:00",
    "2026-10-25T02:00:00+01:00",
    "2026-10-25T02:30:00+01:00",
    "2026-10-25T03:00:00+01:00",
  ]],
  ["Europe/Berlin", "*/30 * * * *", "2026-03-29T00:00:00Z", [
    "2026-03-29T01:30:00+01:00",
    "2026-03-29T03:00:00+02:00",
    "2026-03-29T03:30:00+02:00",
  ]],
  ["America/New_York", "30 1-3 * * *", "2026-03-07T12:00:00Z", [
    "2026-03-08T01:30:00-05:00",
    "2026-03-08T03:00:00-04:00",
    "2026-03-08T03:30:00-04:00",
    "2026-03-09T01:30:00-04:00",
  ]],
  ["America/New_York", "30 1-3 * * *", "2026-10-31T12:00:00Z", [
    "2026-11-01T01:30:00-04:00",
    "2026-11-01T02:30:00-05:00",
    "2026-11-01T03:30:00-05:00",
    "2026-11-02T01:30:00-05:00",
  ]],
  ["Australia/Lord_Howe", "10 1,2 * * *", "2026-10-03T12:00:00Z", [
    "2026-10-04T01:10:00+10:30",
    "2026-10-04T02:30:00+11:00",
    "2026-10-05T01:10:00+11:00",
    "2026-10-05T02:10:00+11:00",
  ]],
  ["Australia/Lord_Howe", "50 1,2 * * *", "2026-04-04T12:00:00Z", [
    "2026-04-05T01:50:00+11:00",
    "2026-04-05T02:50:00+10:30",
    "2026-04-06T01:50:00+10:30",
    "2026-04-06T02:50:00+10:30",
  ]],
];

for (const [zone, line, now, expected] of WALKED) {
  Deno.test(`timer next '${line}' in ${zone} agrees with a walk over every minute from ${now}`, async () => {
    assertEquals(await next(line, { zone, now, count: expected.length }), expected);
  });
}

Deno.test("timer prints a tick: number, scheduled and actual time in the zone, drift", async () => {
  const line = /^ {3}1 {2}(\S+\+09:00) {2}(\S+\+09:00) {2}[\d.]+m?s(?: {2}\d+ missed)?\n$/;
  for (
    const argv of [["after", "5ms"], ["every", "5ms", "-n", "1"], ["cron", "@daily", "--immediate", "-n1"]]
  ) {
    const { code, text } = await timer([...argv, "--tz", "Asia/Tokyo"]);
    assertEquals(code, 0);
    const [, scheduled, actual] = line.exec(text) ?? [];
    assert(scheduled !== undefined && actual !== undefined, text);
    assert(Date.parse(scheduled) <= Date.parse(actual), text);
    assertStringIncludes(scheduled, "2026-11-24T2");
  }
});

Deno.test("timer --json prints ticks with documented keys", async () => {
  for (const argv of [["after", "0"], ["every", "1ms", "--count=1"]]) {
    const [tick] = records((await timer([...argv, "--json"])).text);
    assertEquals(Object.keys(tick!), ["type", "number", "scheduledAt", "actualAt", "driftMs", "missed"]);
    assertEquals([tick!.type, tick!.number, typeof tick!.missed], ["tick", 1, "number"]);
    assertMatch(String(tick!.scheduledAt), /^2026-11-24T1[12]:\d\d:\d\d\.\d{3}Z$/);
    assert(typeof tick!.driftMs === "number" && tick!.driftMs >= 0);
  }
});

Deno.test("timer every ticks on a grid, and --immediate begins it at once", async () => {
  const { text } = await timer(["every", "20ms", "--count", "5", "--immediate", "--json"]);
  const ticks = records(text);
  assertEquals(ticks.map(({ number }) => number), [1, 2, 3, 4, 5]);
  const times = ticks.map(({ scheduledAt }) => Date.parse(String(scheduledAt)));
  for (const [i, time] of times.entries()) assertEquals((time - times[0]!) % 20, 0, `${i}: ${text}`);
});

Deno.test("timer at waits until the wall clock shows the time, in the zone that is meant", async () => {
  const now = "2026-11-24T17:29:59.900Z";
  for (const argv of [["18:30"], ["2026-11-24T18:30"], ["today", "18:30"], ["today 18:30"]]) {
    const { text } = await timer(["at", "--json", "--tz", "Europe/Berlin", ...argv], now);
    const [tick] = records(text);
    assertEquals(tick!.scheduledAt, "2026-11-24T17:30:00.000Z", argv.join(" "));
    assert(Date.parse(String(tick!.actualAt)) >= Date.parse("2026-11-24T17:30:00Z"));
  }
});

Deno.test("timer cron ticks when the wall clock shows the times of the line", async () => {
  const argv = ["cron", "30 2 * * *", "--tz", "Europe/Berlin", "--json", "-n1"];
  const { text } = await timer(argv, "2026-03-29T00:59:59.900Z");
  assertEquals(records(text)[0]!.scheduledAt, "2026-03-29T01:00:00.000Z");
});

Deno.test("timer --seed draws the same jitter again", () => {
  const draw = (seed: number) => {
    const { jitterPercent, random } = jitterOptions({ jitter: 50, seed });
    return [jitterPercent, random(), random()];
  };
  assertEquals(draw(1), draw(1));
  assert(draw(1)[1] !== draw(2)[1]);
  assertEquals(jitterOptions({ jitter: 0 }).random, Math.random);
});

const BAD: [string, string[], string][] = [
  [
    "a cron line that never fires",
    ["cron", "0 0 30 2 *"],
    "never due: give one that is: received '0 0 30 2 *'",
  ],
  ["one to look ahead at", ["next", "0 0 31 2 *"], "never due"],
  ["what is no cron line", ["cron", "99 * * * *"], "received '99 * * * *'"],
  ["a cron line without quotes", ["cron", "*", "*", "*", "*", "*", "ls"], "5 or 6 fields"],
  ["a moment that has passed", ["at", "2026-11-24T11:59", "--tz", "UTC"], "has passed"],
  ["what is no moment", ["at", "25:00"], "received '25:00'"],
  [
    "flags behind a time of two words",
    ["at", "tomorrow", "09:00", "--tz", "UTC"],
    "flags stand before the time",
  ],
  ["no interval", ["every", "0"], "1ms or more: received '0'"],
  ["an interval that is too short", ["every", "0.5ms"], "1ms or more"],
  ["an interval below zero", ["every", "-1s"], "unknown flag -1s"],
  ["what is no duration", ["after", "soon"], "received 'soon'"],
  ["a zone that is none", ["cron", "@daily", "--tz", "Mars/Phobos"], "received 'Mars/Phobos'"],
  ["a bad zone to look ahead in", ["next", "@daily", "--tz", "Mars/Phobos"], "received 'Mars/Phobos'"],
  ["too much jitter", ["every", "1", "--jitter", "101%"], "from 0% to 100%: received '101%'"],
  ["jitter below zero", ["after", "1", "--jitter", "-5%"], "from 0% to 100%: received '-5%'"],
  ["no runs", ["every", "1", "--count", "0", "true"], "received '0'"],
  ["no times", ["next", "@daily", "-n0"], "received '0'"],
  [
    "an unknown policy",
    ["every", "1", "--overlap", "pile", "true"],
    "must be one of skip, queue, parallel, kill",
  ],
  ["no time to run in", ["after", "1", "--timeout", "0", "true"], "a timeout of nothing"],
  ["a timeout of no command", ["every", "1", "--timeout", "1"], "no command: --timeout"],
  ["a success of no command", ["cron", "@daily", "--until-success"], "no command: --until-success"],
  ["an empty command", ["after", "0", ""], "an empty command"],
  ["no time at all", ["every"], "too few words: usage: conc timer every [FLAGS] D [CMD…]"],
  ["more than a cron line", ["next", "@daily", "ls"], "unexpected word 'ls'"],
];

for (const [what, argv, message] of BAD) {
  Deno.test(`timer refuses ${what}`, async () => {
    const error = await assertRejects(() => timer(argv), UsageError, message);
    assert(!error.message.includes("\n"));
  });
}
