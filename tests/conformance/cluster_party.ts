/**
 * A party that is a process: requests come as lines on stdin, answers go out as lines on stdout. It ends with its stdin.
 *
 * @module
 */

import { type ClusterSubject, openObject } from "./cluster.ts";
import { fromLine, lines, party, type PartyRequest, toLine } from "./party.ts";

const encoder = new TextEncoder();
const take = party(
  (reply) => void Deno.stdout.writeSync(encoder.encode(toLine(reply))),
  (subject) => openObject(subject as ClusterSubject),
);
for await (const line of lines(Deno.stdin.readable)) take(fromLine(line) as PartyRequest);
Deno.exit();
