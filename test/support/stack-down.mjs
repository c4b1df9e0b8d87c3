export default async () => {
  await globalThis.posthornStack?.stop();
};
