/** The group that the service reads the topics as: whoever asks how far it has come names it too. */
export const groupOf = ({ POSTHORN_TOPIC_PREFIX: prefix }: { readonly POSTHORN_TOPIC_PREFIX: string }): string => `${prefix}.delivery-audit`;
