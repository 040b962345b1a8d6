/** Label selectors of Kubernetes, as Gateway API uses them for namespaces. */

/** A selector: all of its parts have to hold; an empty one selects everything. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

/** Whether a selector selects labels; an operator that is not known selects nothing. */
function selects(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const has = (key: string): boolean => Object.hasOwn(labels, key);
  const isOneOf = (key: string, values: readonly string[]): boolean =>
    has(key) && values.includes(labels[key] ?? "");
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => isOneOf(key, [value])) &&
    (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
      switch (operator) {
        case "In":
          return isOneOf(key, values);
        case "NotIn":
          return !isOneOf(key, values);
        case "Exists":
          return has(key);
        case "DoesNotExist":
          return !has(key);
        default:
          return false;
      }
    })
  );
}

/** A namespace that wants to have a part in something. */
export interface AskingNamespace {
  /** Whether it is the namespace of what it asks. */
  readonly isSame: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

/** Whether `namespaces` of an allowedRoutes or allowedListeners lets a namespace in; `from` as its default is there. */
export function allowsNamespace(
  { from, selector }: { readonly from: string; readonly selector?: LabelSelector | undefined },
  { isSame, labels }: AskingNamespace,
): boolean {
  switch (from) {
    case "All":
      return true;
    case "Same":
      return isSame;
    case "Selector":
      return selector !== undefined && selects(selector, labels);
    default:
      return false;
  }
}
