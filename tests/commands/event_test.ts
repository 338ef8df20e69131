import { assertEquals, assertRejects } from "@std/assert";
import { eventName, TARGET_SCHEMES } from "../../commands/event_name.ts";
import { parseTarget } from "../../commands/event_target.ts";
import { runCommandLine } from "../../commands/run.ts";
import { UsageError } from "../../lib/errors.ts";
import { fakeContext } from "./helpers.ts";

const FORMS =
  "a target is an event's NAME, tcp:HOST:PORT, http(s)://…, unix:PATH, file:PATH, pid:N, log:FILE=~REGEXP or cmd:COMMAND";

Deno.test("conc event refuses bad input with one clear line, before it waits for or changes anything", async () => {
  const cases: [string[], string][] = [
    [["wait"], "too few words: usage: conc event wait [FLAGS] TARGET… [-- CMD…]"],
    [["wait", "--", "true"], "nothing to wait for: conc event wait TARGET… [-- CMD…]"],
    [["wait", "x", "--"], "no command: give what to run behind --"],
    [["wait", "ftp://x"], `cannot wait for 'ftp://x' as there is no such kind: ${FORMS}`],
    [["wait", "x", "a/b"], `cannot wait for 'a/b' as there is no such kind: ${FORMS}`],
    [["wait", ""], `cannot wait for '' as there is no such kind: ${FORMS}`],
    [["wait", "./x"], "cannot wait for './x' as there is no such kind: for a file say file:./x"],
    [["wait", "ftp://u:pw@x"], `cannot wait for 'ftp://u:…@x' as there is no such kind: ${FORMS}`],
    [
      ["wait", "tcp:db"],
      "cannot wait for 'tcp:db': an address must be HOST:PORT, an IPv6 address in brackets: received 'db'",
    ],
    [
      ["wait", "tcp:::1:80"],
      "cannot wait for 'tcp:::1:80': an address must be HOST:PORT, an IPv6 address in brackets: received '::1:80'",
    ],
    [["wait", "tcp:db:0"], "cannot wait for 'tcp:db:0': a port must be from 1 to 65535: received '0'"],
    [
      ["wait", "tcp:db:65536"],
      "cannot wait for 'tcp:db:65536': a port must be from 1 to 65535: received '65536'",
    ],
    [
      ["wait", "TCP:db:http"],
      "cannot wait for 'TCP:db:http': a port must be from 1 to 65535: received 'http'",
    ],
    [["wait", "http:x"], "cannot wait for 'http:x': this is no URL"],
    [["wait", "https://"], "cannot wait for 'https://': this is no URL"],
    [["wait", "file:"], "cannot wait for 'file:': the path is missing"],
    [["wait", "unix:"], "cannot wait for 'unix:': the path is missing"],
    [["wait", "log:x"], "cannot wait for 'log:x': it must be log:FILE=~REGEXP"],
    [["wait", "log:=~x"], "cannot wait for 'log:=~x': the path is missing"],
    [["wait", "log:x=~"], "cannot wait for 'log:x=~': the regular expression behind =~ is missing"],
    [
      ["wait", "log:x=~["],
      "cannot wait for 'log:x=~[': the regular expression cannot be read: Unterminated character class",
    ],
    [
      ["wait", "pid:0"],
      "cannot wait for 'pid:0': cannot read a count as it must be a whole number from 1: received '0'",
    ],
    [["wait", "cmd: "], "cannot wait for 'cmd: ': there is no command behind cmd:"],
    [
      ["wait", "x", "--retries", "0"],
      "--retries: cannot read a count as it must be a whole number from 1: received '0'",
    ],
    [
      ["set", "a/b"],
      "cannot use that as a name as it must be 1 to 128 of A-Z a-z 0-9 . _ : - : received 'a/b'",
    ],
    [
      ["pulse", "tcp:db:5432"],
      "cannot name an event 'tcp:db:5432' as conc event wait takes that for a target of another kind: choose another name",
    ],
    [["set"], "too few words: usage: conc event set [FLAGS] NAME"],
    [["clear", "a", "b"], "unexpected word 'b': usage: conc event clear [FLAGS] NAME"],
    [
      ["is-set", "a", "--store", "ftp://x"],
      "cannot use a store of the kind ftp:// : name a file, or amqp://…, with --store or CONC_STORE",
    ],
  ];
  for (const [argv, message] of cases) {
    const { context, out, err } = fakeContext({ HOME: "/nonexistent" });
    const error = await assertRejects(() => runCommandLine(["event", ...argv], context), UsageError);
    assertEquals([error.message, out.text, err.text], [message, "", ""], argv.join(" "));
  }
});

Deno.test("every scheme of a target is known to the names of events, whatever its case", async () => {
  for (const scheme of TARGET_SCHEMES) {
    await assertRejects(
      async () => await Promise.resolve(eventName(`${scheme.toUpperCase()}:x`)),
      UsageError,
    );
    assertEquals(eventName(scheme), scheme);
  }
  for (const name of ["db:5432", "a.b-c_d", "udp:x:1", ":"]) {
    assertEquals(eventName(name), name);
    assertEquals(parseTarget(name).text, name);
  }
});

Deno.test("a target shows no password", () => {
  for (
    const [word, text] of [
      ["https://user:secret@host/a@b", "https://user:…@host/a@b"],
      ["http://:secret@host", "http://:…@host"],
      ["http://host:80/x@y", "http://host:80/x@y"],
      ["tcp://db:5432", "tcp://db:5432"],
    ] as const
  ) {
    assertEquals(parseTarget(word).text, text);
  }
});
