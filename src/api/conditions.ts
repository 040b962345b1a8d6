/**
 * Types and reasons of all conditions that mc-wan sets, as constants: whoever reads a status can rely on these words.
 *
 * Sources: KEP-1645 (ServiceExport, MCS ServiceImport), Gateway API v1.6 (Gateway, listeners, routes), section 6 of the
 * specification (WANPolicy, L7 ServiceImport). A type or reason that two of them share stands here once.
 */

/** Types of conditions. */
export const types = {
  /** WANPolicy, L7 ServiceImport, GatewayAdvertisement, GatewayClass, Gateway, listener, route: understood and taken up. */
  Accepted: "Accepted",
  /** L7 ServiceImport, listener, route: every reference leads to something that may be used. */
  ResolvedRefs: "ResolvedRefs",
  /** L7 ServiceImport, Gateway, listener: an Envoy has acknowledged it. */
  Programmed: "Programmed",
  /** Route: some of its rules can't be carried out and are closed. Only ever True. */
  PartiallyInvalid: "PartiallyInvalid",
  /** Listener: it clashes with another one. */
  Conflicted: "Conflicted",
  /** Listener: it shares a port with another one whose hostnames overlap with its own. Only ever True. */
  OverlappingTLSConfig: "OverlappingTLSConfig",
  /** Gateway: clients without a valid certificate get in somewhere. Only ever True. */
  InsecureFrontendValidationMode: "InsecureFrontendValidationMode",
  /** WANPolicy: every cluster has the same one. */
  Consistent: "Consistent",
  /** WANPolicy: its requests cross the WAN between gateways that know each other, unread by others. */
  MutualTLS: "MutualTLS",
  /** WANPolicy: gateways set its DSCP. */
  DSCPApplied: "DSCPApplied",
  /** ServiceExport: can be exported. */
  Valid: "Valid",
  /** ServiceExport, MCS ServiceImport: done. */
  Ready: "Ready",
  /** ServiceExport: exporters disagree. */
  Conflict: "Conflict",
  /**
   * ServiceExport, MCS ServiceImport: its traffic travels over the WANPolicy that was asked for. GatewayAdvertisement:
   * every WANPolicy can be asked for.
   */
  Classified: "Classified",
  /**
   * GatewayAdvertisement: peers are heard, what they advertise can be read, and their gateways can be used. MCS
   * ServiceImport, only if False: an exporting cluster is not heard any more, or its export can't be read.
   */
  PeersUsable: "PeersUsable",
  /** L7 ServiceImport: clients cannot get past its rules. */
  Enforced: "Enforced",
  /**
   * ServiceExport, MCS ServiceImport, only where another implementation of Gateway API carries the traffic: it does, and
   * what it does not do.
   */
  Carried: "Carried",
  /** ServiceExport, MCS ServiceImport, only of a service with session affinity: clients stay with one backend. */
  AffinityApplied: "AffinityApplied",
  /** L7 ServiceImport, only with `spec.failover`: its tiers are as they were asked for. */
  FailoverApplied: "FailoverApplied",
  /** L7 ServiceImport, only with `spec.limits`: egress gateways keep to them. */
  LimitsApplied: "LimitsApplied",
  /** ServiceExport, MCS ServiceImport: every port can be carried. */
  PortsSupported: "PortsSupported",
} as const;

/** Reasons of conditions. */
export const reasons = {
  // Shared words.
  Accepted: "Accepted",
  Invalid: "Invalid",
  Pending: "Pending",
  Ready: "Ready",
  ResolvedRefs: "ResolvedRefs",
  Programmed: "Programmed",
  /** AccessPolicy: there is no valid ServiceExport of the name. */
  TargetNotFound: "TargetNotFound",
  /** Route, L7 ServiceImport, ServiceExport: an Envoy refuses what was made of it. */
  RefusedByEnvoy: "RefusedByEnvoy",

  // WANPolicy.
  /** WANPolicy: an older one has the port. ServiceExport: exporters disagree on ports. */
  PortConflict: "PortConflict",
  TooManyPolicies: "TooManyPolicies",
  /** A second WANPolicy says that it is the default: none is. */
  SeveralDefaults: "SeveralDefaults",
  Consistent: "Consistent",
  /** A peer has another port or tunnel under the name. */
  DiffersFromPeer: "DiffersFromPeer",
  /** A peer does not have it. */
  MissingAtPeer: "MissingAtPeer",
  DSCPNotApplied: "DSCPNotApplied",

  // ServiceExport, Valid.
  Valid: "Valid",
  NoService: "NoService",
  InvalidServiceType: "InvalidServiceType",
  // ServiceExport, Ready.
  Exported: "Exported",
  Failed: "Failed",
  /** The policy that the export names does not exist or is not accepted. */
  PolicyNotFound: "PolicyNotFound",
  /** Nothing names a policy, and no WANPolicy is the default. */
  NoPolicy: "NoPolicy",
  /** The tunnel that the Service names fits several WANPolicies. */
  AmbiguousTunnel: "AmbiguousTunnel",
  /** An annotation holds a value that means nothing. */
  InvalidAnnotation: "InvalidAnnotation",
  /** An object by the name that mc-wan would write is somebody else's. */
  NotOurs: "NotOurs",
  // ServiceExport, Conflict. Several are joined with commas.
  TypeConflict: "TypeConflict",
  SessionAffinityConflict: "SessionAffinityConflict",
  SessionAffinityConfigConflict: "SessionAffinityConfigConflict",
  LabelsConflict: "LabelsConflict",
  AnnotationsConflict: "AnnotationsConflict",
  InternalTrafficPolicyConflict: "InternalTrafficPolicyConflict",
  TrafficDistributionConflict: "TrafficDistributionConflict",
  IPFamilyConflict: "IPFamilyConflict",
  WANPolicyConflict: "WANPolicyConflict",
  NoConflicts: "NoConflicts",

  // MCS ServiceImport.
  IPFamilyNotSupported: "IPFamilyNotSupported",
  /** The IP that the import held is taken; it has a new one. */
  IPChanged: "IPChanged",
  Classified: "Classified",
  /** Clients connect to the pods of a headless service past the gateways. */
  Headless: "Headless",
  /** A port whose protocol is not carried (UDP, SCTP); in Gateway API a listener or backend of a protocol that we do not speak. */
  UnsupportedProtocol: "UnsupportedProtocol",
  Supported: "Supported",
  AffinityNotApplied: "AffinityNotApplied",
  /** Clients are kept with one backend by a hash of their address. */
  ByClientAddress: "ByClientAddress",
  /** A service has more ports than can be told to peers or carried. */
  TooManyPorts: "TooManyPorts",
  /** AccessPolicies name more namespaces and service accounts, or these have more Pods, than are told apart. */
  TooManyClients: "TooManyClients",
  /** Peers are told of no endpoints of a headless service: who connects to Pods passes by what its policy asks for. */
  EndpointsWithheld: "EndpointsWithheld",
  /** A headless service has more endpoints than peers can be told. */
  TooManyEndpoints: "TooManyEndpoints",

  // L7 ServiceImport.
  FailoverApplied: "FailoverApplied",
  /** A tier names a cluster that is not in the set. */
  UnknownCluster: "UnknownCluster",
  /** Two tiers name one cluster. */
  DuplicateCluster: "DuplicateCluster",
  /** Another implementation of Gateway API carries the traffic, and has no tiers. */
  FailoverNotApplied: "FailoverNotApplied",
  LimitsApplied: "LimitsApplied",
  /** Another implementation of Gateway API carries the traffic, and has no limits. */
  LimitsNotApplied: "LimitsNotApplied",
  /** No cluster exports the service. */
  NoExport: "NoExport",
  /** A rule has more backends, cluster by cluster, than Gateway API takes; it is followed without their proportions. */
  TooManyBackends: "TooManyBackends",
  /** A filter would change Host, and with it the service. */
  HostRewrite: "HostRewrite",
  UnsupportedFilter: "UnsupportedFilter",
  /** http rules for a service without an HTTP port, or tcp for one without a TCP port. */
  NoMatchingPort: "NoMatchingPort",
  BackendNotFound: "BackendNotFound",
  RefNotPermitted: "RefNotPermitted",
  InvalidKind: "InvalidKind",
  Enforced: "Enforced",
  MutualTLS: "MutualTLS",
  /** Its mode is Plain. */
  Plain: "Plain",
  /** Home and a peer speak differently at a policy's port, so that nothing is sent. */
  ModeDiffers: "ModeDiffers",
  /** A cluster's gateways can't be told from others. */
  NoIdentity: "NoIdentity",
  /** The data plane can't speak it. */
  UnsupportedMode: "UnsupportedMode",
  /** Without mutual TLS the rules bind only clients that use the imported name. */
  OnlyByName: "OnlyByName",

  // Another implementation carries the traffic: ServiceExport, MCS ServiceImport, advertisement.
  Carried: "Carried",
  /** The GatewayClass is not there. */
  NoGatewayClass: "NoGatewayClass",
  /** The GatewayClass is of an implementation that mc-wan doesn't know how to use, or to keep internal. */
  UnknownImplementation: "UnknownImplementation",
  /** The GatewayClass, or what was made of it, lets gateways be reached from outside. */
  NotInternal: "NotInternal",
  /** GatewayClass: this controller runs with another data plane. */
  Unsupported: "Unsupported",

  // Advertisements.
  UnsupportedFormatVersion: "UnsupportedFormatVersion",
  /** An advertised address is inside our own pod or service range. */
  AddressOverlap: "AddressOverlap",
  UnusableAddress: "UnusableAddress",
  /** A port at which gateways don't listen for a WANPolicy. */
  UnusablePort: "UnusablePort",
  /** A peer says more than is taken of one. */
  QuotaExceeded: "QuotaExceeded",
  /** A service that no cluster may export. */
  ReservedName: "ReservedName",
  /** A peer vouches for a trust domain that is not its own. */
  WrongTrustDomain: "WrongTrustDomain",
  /** What a peer gives for its authorities are none. */
  InvalidTrustBundle: "InvalidTrustBundle",
  /** Mode NodePort: the port of a WANPolicy is outside the range of node ports. */
  NotANodePort: "NotANodePort",

  // Peers: Events at their Secrets, and WANPolicies that can't be compared.
  InvalidClusterId: "InvalidClusterId",
  OwnClusterId: "OwnClusterId",
  /** Another Secret stands for the same peer. */
  DuplicateClusterId: "DuplicateClusterId",
  InvalidKubeconfig: "InvalidKubeconfig",
  Unauthorized: "Unauthorized",
  Forbidden: "Forbidden",
  /** A kind of ours is not installed there. */
  KindMissing: "KindMissing",
  Unreachable: "Unreachable",
  /** A peer is not heard any more: what it last said stays in force. */
  Stale: "Stale",
  /** A peer was never heard of since the controller started: nothing is deleted that may stand because of it. */
  Unheard: "Unheard",

  // Gateway API: GatewayClass, Gateway and listeners.
  UnsupportedValue: "UnsupportedValue",
  ListenersNotValid: "ListenersNotValid",
  InvalidParameters: "InvalidParameters",
  AddressNotUsable: "AddressNotUsable",
  UnsupportedAddress: "UnsupportedAddress",
  AddressNotAssigned: "AddressNotAssigned",
  PortUnavailable: "PortUnavailable",
  HostnameConflict: "HostnameConflict",
  /** Listeners of protocols that can't be told apart on one port. */
  ProtocolConflict: "ProtocolConflict",
  /** A certificate that is not there, not usable or over. */
  InvalidCertificateRef: "InvalidCertificateRef",
  InvalidCACertificateRef: "InvalidCACertificateRef",
  InvalidCACertificateKind: "InvalidCACertificateKind",
  /** None of the authorities can be used. */
  NoValidCACertificate: "NoValidCACertificate",
  /** The certificate that the Gateway is to show backends. */
  InvalidClientCertificateRef: "InvalidClientCertificateRef",
  OverlappingHostnames: "OverlappingHostnames",
  InvalidRouteKinds: "InvalidRouteKinds",
  ConfigurationChanged: "ConfigurationChanged",
  // Gateway API: BackendTLSPolicy.
  Conflicted: "Conflicted",
  // Gateway API: ListenerSets.
  NotAllowed: "NotAllowed",
  ParentNotAccepted: "ParentNotAccepted",
  ParentNotProgrammed: "ParentNotProgrammed",
  // Gateway API: routes.
  /** Every listener that the route could attach to is refused. */
  NoReadyListeners: "NoReadyListeners",
  NoMatchingParent: "NoMatchingParent",
  NoMatchingListenerHostname: "NoMatchingListenerHostname",
  NotAllowedByListeners: "NotAllowedByListeners",
  IncompatibleFilters: "IncompatibleFilters",
} as const;
