const ofTenant = ({ tenant }: { readonly tenant: string }): string => tenant;

/** Of a method that looks at what is a tenant's. */
export const reading = { scope: 'registry:read', tenant: ofTenant } as const;

/** Of a method that changes what is a tenant's, or tells its secrets. */
export const writing = { scope: 'registry:write', tenant: ofTenant } as const;
