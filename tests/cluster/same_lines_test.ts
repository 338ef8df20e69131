/**
 * The lines that the pages show for one machine, typed between two: every second `conc` runs on the other host. They print the same.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { CONC, inDirectory, quoted } from "../cli/conc.ts";
import { type Block, blocksOf, runBlock } from "../cli/documents.ts";
import { control } from "./broker.ts";
import { hostsTest } from "./two_hosts.ts";

const PAGES = ["lock", "semaphore", "event", "queue", "recipes", "recipes_event", "recipes_queue"];

/** What stays on one machine: demos, a file that is named, and what brokers do not do, which is refused (`queue_test.ts`). */
const HERE = /\bdemo\b|lock-demo|--store|--dedup/;

for (const page of PAGES) {
  const blocks = (await blocksOf(`docs/${page}.md`)).filter(({ script }) => !HERE.test(script));
  hostsTest(
    `the commands in docs/${page}.md print between two hosts what they do on one`,
    (...hosts) =>
      withVhost((vhost) =>
        inDirectory(async (directory) => {
          const there = hosts.map((host) => withStore(`${host.url}/${vhost}`, (words) => host.line(words)));
          const here = withStore(`${directory}/conc.db`);
          for (const block of blocks) {
            assertEquals(await printed(block, inTurns(there)), await printed(block, here), block.script);
          }
        })
      ),
  );
}

/** What a block prints, sorted, and without tokens and numbers, which are others each time. */
async function printed({ script }: Block, conc: string): Promise<string[]> {
  let stdout = "";
  await inDirectory(async (cwd) => {
    ({ stdout } = await runBlock(script, { cwd, conc }));
  });
  return stdout.split("\n").map((line) => line.replaceAll(/\b[0-9a-f]{16}\b|\d+/g, "N")).sort();
}

/** A script that is conc with a store, on the host whose line is made of its words. */
function withStore(store: string, line = (words: string[]) => words): string {
  return `exec ${quoted(line(["env", `CONC_STORE=${store}`, ...CONC]))} "$@"`;
}

/** A script that does the one, and when it is called again the other. */
function inTurns([one = "", other = ""]: readonly string[]): string {
  return `turn=\${0%/*}/turn\nif mkdir "$turn" 2>/dev/null; then\n${one}\nfi\nrmdir "$turn"\n${other}`;
}

/** Has a test use a part of the broker in which nothing is. */
async function withVhost(body: (vhost: string) => Promise<void>): Promise<void> {
  const vhost = `test-${crypto.randomUUID()}`;
  await control("ctl", "add_vhost", vhost);
  try {
    await control("ctl", "set_permissions", "-p", vhost, "conc", ".*", ".*", ".*");
    await body(vhost);
  } finally {
    await control("ctl", "delete_vhost", vhost);
  }
}
