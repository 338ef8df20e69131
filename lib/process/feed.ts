/**
 * Giving a child something to read.
 *
 * @module
 */

/**
 * Writes to a child's stdin and closes it. A child that does not read to the end is no error: that is its own affair.
 *
 * @param stdin Of a child that was started with `stdin` piped.
 * @param parts What it reads, in order.
 */
export async function feed(
  stdin: WritableStream<Uint8Array>,
  parts: Iterable<Uint8Array>,
): Promise<void> {
  const writer = stdin.getWriter();
  try {
    for (const part of parts) await writer.write(part);
    await writer.close();
  } catch {
    // The pipe is closed either way.
    await writer.abort().catch(() => {});
  }
}
