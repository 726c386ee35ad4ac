// The pages that the head of every page leads to.

export interface Link {
  path: string;
  label: string;
  /** Only administrators have any use for it. */
  admin?: boolean;
}

const LINKS: readonly Link[] = [
  { path: '/pipelines', label: 'Pipelines' },
  { path: '/jobs', label: 'Jobs' },
  { path: '/runners', label: 'Runners', admin: true },
  { path: '/storage', label: 'Storage', admin: true },
  { path: '/hosts', label: 'Hosts', admin: true },
  { path: '/costs', label: 'Costs', admin: true },
  { path: '/deletions', label: 'Deletions', admin: true },
  { path: '/notifications', label: 'Notifications', admin: true },
];

/** The links for somebody, in their order. */
export function linksFor(admin: boolean): Link[] {
  return LINKS.filter((link) => admin || !link.admin);
}
