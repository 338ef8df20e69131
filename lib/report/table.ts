/**
 * Rows in columns, for people.
 *
 * @module
 */

/**
 * A table: each column as wide as its widest cell, two spaces between, the last one cut off where the line would be too long.
 *
 * @param rows The cells, one of each column in each row; control characters in them become spaces.
 * @param options `columns`: how wide a line may be. Default Infinity.
 * @returns Its lines, each with a line feed.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(table([["PID", "COMMAND"], ["4711", "sleep 10"]]), "PID   COMMAND\n4711  sleep 10\n");
 * ```
 */
export function table(
  rows: readonly (readonly string[])[],
  { columns = Infinity }: { columns?: number } = {},
): string {
  const cells = rows.map((row) => row.map(plain));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  return cells.map((row) => {
    const line = row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd();
    return `${shorten(line, columns)}\n`;
  }).join("");
}

/** A text on one line of at most so many characters. */
export function shorten(text: string, length: number): string {
  const line = plain(text);
  return line.length <= length ? line : `${line.slice(0, Math.max(0, length - 1))}…`;
}

function plain(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}
