/**
 * What `conc event wait` waits for: an event, or something of the world that it looks at.
 *
 * @module
 */

import { abortable } from "@std/async/abortable";
import { delay } from "@std/async/delay";
import { UsageError } from "../lib/errors.ts";
import { processProbe } from "../lib/host/process_probe.ts";
import type { NamedEvent } from "../lib/named.ts";
import type { Awaitable } from "../lib/primitives.ts";
import { probeCommand } from "../lib/jobs/command_probe.ts";
import { parseAddress } from "../lib/net/address.ts";
import { FileChanges } from "../lib/net/probe/file_changes.ts";
import { LogProbe, probeFile } from "../lib/net/probe/file.ts";
import { probeHttp, probeTcp, probeUnix } from "../lib/net/probe.ts";
import type { Look, PollOptions, Probe } from "../lib/time/poll.ts";
import { parseCount } from "../lib/units.ts";
import { isScheme, type Scheme } from "./event_name.ts";

/** What was found at a target; an event brings more. */
export interface TargetLook extends Look {
  generation?: number;
  data?: string | undefined;
}

/** A target that is looked at. */
export interface Source extends Disposable {
  /** Looks once. */
  probe: Probe<TargetLook>;
  /** Waits for what there is to see, where a target is watched. What has none is asked every so often, and each look may fail. */
  rest?: NonNullable<PollOptions["rest"]>;
  /** Waits until it holds, where that is more than looking. */
  wait?: (signal: AbortSignal) => Promise<TargetLook>;
}

/** What to wait for. */
export interface Target {
  /** As it was typed, without a password. */
  text: string;
  /** Whether it is in the store. */
  isEvent?: boolean;
  /** Begins to look at it. */
  open(surroundings: Surroundings): Awaitable<Source>;
}

/** What targets share. */
export interface Surroundings {
  /** The event of a name. */
  event(name: string): Promise<NamedEvent>;
  /** The directory that the store is in, if it is used. It must not be watched: see `file_changes.ts`. */
  storeDirectory: string | undefined;
  /** Whether only lines of a log count that come after it was opened. Default false. */
  onlyFreshLines?: boolean;
}

/** How often a process is looked at, or an event that is to be cleared. */
const CHEAP_POLL_MS = 50;

const FORMS =
  "an event's NAME, tcp:HOST:PORT, http(s)://…, unix:PATH, file:PATH, pid:N, log:FILE=~REGEXP or cmd:COMMAND";

/** What each scheme makes of the words behind it; throws what is wrong with them. */
const SCHEMES: Readonly<Record<Scheme, (rest: string) => Omit<Target, "text">>> = {
  tcp(rest) {
    const address = parseAddress(rest);
    return asked((signal) => probeTcp(address, signal));
  },
  http: (rest) => url(`http:${rest}`),
  https: (rest) => url(`https:${rest}`),
  unix(rest) {
    const path = parsePath(rest);
    return asked((signal) => probeUnix(path, signal));
  },
  cmd(rest) {
    if (rest.trim() === "") throw new UsageError("there is no command behind cmd:");
    return asked((signal) => probeCommand(rest, signal));
  },
  file(rest) {
    const path = parsePath(rest);
    return {
      open({ storeDirectory: avoid }) {
        const changes = new FileChanges(path, { avoid });
        return {
          probe: () => probeFile(path),
          rest: (ms, signal) => changes.rest(ms, signal),
          [Symbol.dispose]: () => changes[Symbol.dispose](),
        };
      },
    };
  },
  log(rest) {
    const at = rest.indexOf("=~");
    if (at < 0) throw new UsageError("it must be log:FILE=~REGEXP");
    const path = parsePath(rest.slice(0, at));
    const pattern = parsePattern(rest.slice(at + 2));
    return {
      open({ storeDirectory: avoid, onlyFreshLines: isFresh = false }) {
        const changes = new FileChanges(path, { avoid });
        const log = new LogProbe(path, pattern, { isFresh });
        return {
          probe: (signal) => log.look(signal),
          rest: (ms, signal) => changes.rest(ms, signal),
          [Symbol.dispose]() {
            changes[Symbol.dispose]();
            log[Symbol.dispose]();
          },
        };
      },
    };
  },
  pid(rest) {
    const pid = parseCount(rest, 1);
    return {
      open: () => ({
        probe: processProbe(pid),
        rest: pause,
        [Symbol.dispose]() {},
      }),
    };
  },
};

/**
 * Reads a target.
 *
 * @param word What was typed.
 * @throws {UsageError} If it is none.
 */
export function parseTarget(word: string): Target {
  const [, prefix = "", rest = ""] = /^([a-z]+):(.*)$/is.exec(word) ?? [];
  const scheme = prefix.toLowerCase();
  if (isScheme(scheme)) {
    const text = withoutPassword(word);
    try {
      return { text, ...SCHEMES[scheme](rest) };
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(`cannot wait for '${text}': ${error.message}`);
    }
  }
  if (/^[A-Za-z0-9._:-]{1,128}$/.test(word)) return eventTarget(word);
  const meant = /^[./~]/.test(word) ? `for a file say file:${word}` : `a target is ${FORMS}`;
  throw new UsageError(`cannot wait for '${withoutPassword(word)}' as there is no such kind: ${meant}`);
}

/** What is asked every so often. */
function asked(probe: Probe): Omit<Target, "text"> {
  return { open: () => ({ probe, [Symbol.dispose]() {} }) };
}

function eventTarget(name: string): Target {
  const hint = /^[^:]+:\d+$/.test(name) ? ` (a port is tcp:${name})` : "";
  return {
    text: name,
    isEvent: true,
    async open(surroundings) {
      const event = await surroundings.event(name);
      return {
        async probe(signal) {
          const { set, generation, data } = await abortable(Promise.resolve(event.statistics()), signal);
          const seen = set ? "is set" : `is not set${hint}`;
          return { holds: set, seen, generation, data };
        },
        rest: pause,
        async wait(signal) {
          return { holds: true, seen: "happened", ...await event.wait({ signal }) };
        },
        [Symbol.dispose]() {},
      };
    },
  };
}

/** Rests where nothing can be watched, but a look costs next to nothing. */
function pause(limitMs: number, signal?: AbortSignal): Promise<void> {
  return delay(Math.min(limitMs, CHEAP_POLL_MS), signal && { signal });
}

function url(text: string): Omit<Target, "text"> {
  if (!/^https?:\/\/[^/]/i.test(text) || !URL.canParse(text)) throw new UsageError("this is no URL");
  return asked((signal) => probeHttp(text, signal));
}

function parsePath(text: string): string {
  if (text === "") throw new UsageError("the path is missing");
  return text;
}

function parsePattern(text: string): RegExp {
  if (text === "") throw new UsageError("the regular expression behind =~ is missing");
  try {
    return new RegExp(text);
  } catch (error) {
    const problem = (error as Error).message.replace(/^.*: /s, "");
    throw new UsageError(`the regular expression cannot be read: ${problem}`);
  }
}

function withoutPassword(text: string): string {
  return text.replace(/^(\w+:\/\/[^/?#@:]*):[^/?#]*@/, "$1:…@");
}
