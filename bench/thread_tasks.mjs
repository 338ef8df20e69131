// The tasks of bench/thread.ts, the same for all who run JavaScript.

export function empty(n) {
  return n;
}

export function spin(ms) {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

export function size(bytes) {
  return bytes.length;
}
