package leak

import (
	"net/netip"
	"regexp"
	"strings"
)

// hostLeaks are the network behind the gateway: private addresses, internal
// names, and what resolvers, sockets and proxies say when they fail.
var hostLeaks = []leakRule{
	phrases(
		"dial tcp", "dial udp", "dial unix", "getaddrinfo", "connection refused", "connection reset by peer", "no such host", "i/o timeout", "no route to host", "socket hang up",
		"network is unreachable", "name or service not known", "name resolution", "nodename nor servname", "actively refused it", "host unreachable",
		"upstream connect error", "disconnect/reset before headers", "reset reason:", "upstream request timeout", "no healthy upstream",
		"max retries exceeded with url", "newconnectionerror", "failed to establish a new connection", "httpconnectionpool", "httpsconnectionpool",
		"unknownhostexception", "unable to connect to the remote server", "could not connect to server", "can't connect to local mysql",
		"is the server running on", "tls handshake", "x509: ", "certificate verify failed", "ssl routines", "pkix path building", "unable to verify the first certificate",
		"rpc error: code =", "transport: error while dialing", "server selection timed out", "no servers found yet", "serverselectiontimeout", "broken pipe",
		"svc.cluster.local", "169.254.169.254", "metadata.google.internal", "context deadline exceeded",
	),
	pattern(`\b(?:ECONNREFUSED|ECONNRESET|ECONNABORTED|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|EPIPE|EADDRINUSE|ENOENT|EACCES|EPERM|EMFILE|ESOCKETTIMEDOUT)\b`, "econn", "enotfound", "etimedout", "ehost", "enet", "eai_", "epipe", "eaddr", "enoent", "eacces", "eperm", "emfile", "esocket"),
	{
		hints:   []string{"."},
		pattern: regexp.MustCompile(`(?:^|[^\w.])((?:\d{1,3}\.){3}\d{1,3})(:\d{2,5})?(?:$|[^\w.]|\.(?:\s|$))`),
		check: func(text string, m []int) bool {
			if a, err := netip.ParseAddr(text[m[2]:m[3]]); err != nil {
				return false
			} else if internalAddr(a) {
				return !namesVersion(text[:m[2]])
			}
			return m[4] >= 0
		},
	},
	{
		hints:   []string{"::", "fe80:", "fc", "fd", "]:"},
		pattern: regexp.MustCompile(`(?:^|[^\w:.])\[?([0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?:%\w+)?(\]:\d{2,5})?`),
		check: func(text string, m []int) bool {
			a, err := netip.ParseAddr(text[m[2]:m[3]])
			return err == nil && a.Is6() && (m[4] >= 0 || internalAddr(a) && text[m[2]:m[3]] != "::")
		},
	},
	pattern(`(?i)\b(?:[\w-]+\.)+(?:internal|local|localdomain|lan|intranet|intra|consul|svc|home\.arpa)(?:$|[^\w.=(-]|\.(?:\s|$))`,
		".internal", ".local", ".lan", ".intra", ".consul", ".svc", ".arpa"),
	pattern(`(?i)\b(?:[\w-]+\.)+(?:corp|private|cluster|docker|home|test-env|ec2|compute)(?::\d{2,5}|/)`, ".corp", ".private", ".cluster", ".docker", ".home", ".ec2", ".compute"),
	pattern(`(?i)\b(?:ip-\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3}|ec2-\d+-\d+-\d+-\d+)\b`, "ip-", "ec2-"),
	pattern(`(?i)\b[\w.-]+\.(?:rds|cache|es|elb|redshift|docdb|neptune|mq|kafka)\.[\w.-]*amazonaws\.com\b|\b[\w.-]+\.(?:database|redis\.cache|documents|servicebus|blob\.core)\.(?:windows|azure)\.(?:net|com)\b`, "amazonaws.com", "windows.net", "azure.com"),
	pattern(`(?i)\blocalhost:\d{2,5}\b|(?:\bto|\bat|@|//)\s?"?localhost\b`, "localhost"),
	// A bare name with the port of a well-known service, redis:6379, and a
	// qualified name with any other port, where they are not part of a public URL.
	{
		hints:   []string{":"},
		pattern: regexp.MustCompile(`(?i)((?:https?://)?\b[a-z][\w-]*(?:\.[\w-]+)*):(?:1433|1521|1830|2181|2375|2376|2379|2380|3000|3306|4222|4369|5000|5001|5044|5432|5433|5601|5671|5672|5984|6379|6380|6432|7000|7001|7199|7474|7687|8000|8001|8080|8081|8086|8091|8200|8300|8443|8500|8529|8888|9000|9042|9090|9092|9093|9094|9160|9200|9300|9418|10250|11211|15672|16379|19530|26257|26379|27017|27018|27019|28015|50051|61616)\b`),
		check:   notPublicURL,
	},
	{
		hints:   []string{":"},
		pattern: regexp.MustCompile(`(?i)((?:https?://)?\b(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,18}):\d{4,5}\b`),
		check:   notPublicURL,
	},
	// http://storage/decrease: a name without a dot is resolved inside.
	pattern(`(?i)\bhttps?://(?:[a-z][\w-]*)(?:[:/?\]]|\s|$)`, "://"),
}

// notPublicURL reports whether a host with a port is not that of a http URL with
// a qualified name. Names that are internal by themselves have their own rule.
func notPublicURL(text string, m []int) bool {
	host := text[m[2]:m[3]]
	return !strings.Contains(host, "://") || !strings.Contains(host, ".")
}

// carrierNAT is RFC 6598's shared space, which clouds use inside.
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// internalAddr reports whether an address is of a private network.
func internalAddr(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || carrierNAT.Contains(a)
}

// namesVersion reports whether a text introduces a version number.
func namesVersion(before string) bool {
	before = strings.ToLower(strings.TrimRight(before, " v:="))
	return strings.HasSuffix(before, "version") || strings.HasSuffix(before, "release") || strings.HasSuffix(before, "build")
}
