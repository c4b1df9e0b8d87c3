/**
 * As in the image (`deploy/docker/entrypoint.sh`). Node lets the young generation grow to 128 MiB, though next to nothing in it is alive when it is
 * collected: buffers of a batch that is done. Nothing within the process can say so, V8 reads it before the first line. No source maps: every
 * service would hold those of all its packages, for the sake of stack traces in what compiles line by line. And it lets the old generation grow to
 * several times what is alive before it looks through it; here to half as much again.
 */
export const NODE_FLAGS = ['--max-semi-space-size=16', '--heap-growing-percent=50'] as const;
