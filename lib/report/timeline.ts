/**
 * Which lane ran what when, drawn as text.
 *
 * @module
 */

import { formatDuration } from "../time/duration.ts";

/** Something that took its time: one attempt of a job, one task. */
export interface Span {
  /** Where it ran: the name of a row. */
  lane: string;
  /** What it is called; shown where there is room for all of it. */
  label: string;
  /** When it began, in milliseconds on any clock that all spans share. */
  startMs: number;
  endMs: number;
  failed: boolean;
}

/** Neighbours that are drawn as one, because they were too short to tell apart, have a count above 1. */
type Piece = Span & { count: number };

/** From so many pieces a lane is coarsened. */
const PIECES_PER_LANE = 4_000;
/** No terminal has more columns than this. */
const BUCKETS = 1_000;
const MINIMUM_COLUMNS = 20;

/**
 * Collects spans and draws them. Invariants: within a lane spans are added in the order of their starts and do not overlap; memory
 * grows with the number of lanes, not of spans.
 *
 * A span is `[label---]`, a failed one `[label!!!]`, one of a single column `|` or `!`; `#` stands for several in one column.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const timeline = new Timeline(0);
 * timeline.add({ lane: "slot 1", label: "1", startMs: 0, endMs: 1_000, failed: false });
 * timeline.add({ lane: "slot 2", label: "2", startMs: 500, endMs: 2_000, failed: true });
 * assertEquals(timeline.draw({ columns: 31 }).split("\n"), [
 *   "slot 1 [1---------]",
 *   "slot 2       [2!!!!!!!!!!!!!!!]",
 *   "       0s                    2s",
 *   "",
 * ]);
 * ```
 */
export class Timeline {
  readonly #startMs: number;
  readonly #lanes = new Map<string, Piece[]>();

  /** @param startMs Where the drawing begins, on the clock of the spans. */
  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  /** Takes a span in. */
  add(span: Span): void {
    const lane = this.#lanes.get(span.lane) ?? [];
    this.#lanes.set(span.lane, lane);
    lane.push({ ...span, count: 1 });
    if (lane.length > PIECES_PER_LANE) this.#lanes.set(span.lane, this.#coarsen(lane));
  }

  /**
   * The drawing: a row for each lane, in the order in which their first spans began, and a scale.
   *
   * @param options `columns`: how wide it may be, at least 20.
   * @returns Lines, each with its line feed; empty if there is no span.
   */
  draw({ columns }: { columns: number }): string {
    if (this.#lanes.size === 0) return "";
    const names = [...this.#lanes.keys()];
    const nameWidth = Math.min(Math.max(...names.map((name) => name.length)), Math.floor(columns / 3));
    const width = Math.max(columns, MINIMUM_COLUMNS) - nameWidth - 1;
    const endMs = Math.max(...[...this.#lanes.values()].map((lane) => lane.at(-1)!.endMs));
    const totalMs = Math.max(endMs - this.#startMs, 1e-3);
    const column = (ms: number) => Math.floor((ms - this.#startMs) / totalMs * width);
    const lanes = [...this.#lanes].sort(([, a], [, b]) => a[0]!.startMs - b[0]!.startMs);
    const rows = lanes.map(([name, lane]) =>
      `${name.slice(0, nameWidth).padEnd(nameWidth)} ${row(lane, { width, column })}`.trimEnd()
    );
    return [...rows, " ".repeat(nameWidth + 1) + scale(totalMs, width), ""].join("\n");
  }

  /** Joins neighbours that no drawing could tell apart. */
  #coarsen(lane: Piece[]): Piece[] {
    const bucketMs = (lane.at(-1)!.endMs - this.#startMs) / BUCKETS;
    const bucket = (ms: number) => Math.floor((ms - this.#startMs) / bucketMs);
    const joined: Piece[] = [];
    for (const piece of lane) {
      const last = joined.at(-1);
      if (last === undefined || bucket(last.startMs) !== bucket(piece.endMs)) joined.push(piece);
      else {
        last.endMs = piece.endMs;
        last.count += piece.count;
        last.failed ||= piece.failed;
      }
    }
    return joined;
  }
}

function row(
  lane: readonly Piece[],
  { width, column }: { width: number; column: (ms: number) => number },
): string {
  const cells = new Array<string>(width).fill(" ");
  /** The column in which the last piece begins. */
  let begun = -1;
  for (const { label, startMs, endMs, failed, count } of lane) {
    const from = Math.min(Math.max(0, column(startMs)), width - 1);
    // The column in which it ends is the one in which the next begins.
    const columns = Math.max(1, Math.min(column(endMs), width) - from);
    if (count > 1 || from === begun) cells.fill("#", from, from + columns);
    else segment(columns, { label, failed }).forEach((cell, index) => cells[from + index] = cell);
    begun = from;
  }
  return cells.join("");
}

function segment(width: number, { label, failed }: { label: string; failed: boolean }): string[] {
  const fill = failed ? "!" : "-";
  if (width === 1) return [failed ? "!" : "|"];
  const inner = label.length <= width - 2 ? label : "";
  return [..."[", ...inner.padEnd(width - 2, fill), "]"];
}

/** Times below the rows: at the start, in the middle, at the end. */
function scale(totalMs: number, width: number): string {
  const end = formatDuration(totalMs);
  const middle = formatDuration(totalMs / 2);
  const at = Math.floor(width / 2);
  const withMiddle = width >= 40 ? "0s".padEnd(at) + middle : "0s";
  return withMiddle.padEnd(width - end.length) + end;
}
