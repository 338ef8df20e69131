/**
 * Families for tests: a parent that never waits, and its children.
 *
 * @module
 */

import { Family } from "../../lib/demo/family.ts";

/** Runs a test body with a family, of which nothing is left afterwards. */
export async function withFamily(size: number, body: (family: Family) => Promise<void>): Promise<void> {
  const signal = new AbortController().signal;
  await using family = await Family.start(size, { signal });
  try {
    await body(family);
  } finally {
    await family.endParent();
    await family.gone();
  }
}
