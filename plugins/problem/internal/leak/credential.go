package leak

// credentialLeaks are secrets and the connection strings that hold them. The
// formats of tokens are their issuers' own documented prefixes.
var credentialLeaks = []leakRule{
	phrases(
		"-----begin ", "accountkey=", "sharedaccesskey=", "sharedaccesssignature", "aws_secret_access_key", "client_secret=",
		"data source=", "initial catalog=", "integrated security=", "user id=", "uid=sa", "jdbc:", "x-amz-security-token",
	),
	// scheme://user:password@host
	pattern(`(?i)\b[a-z][a-z0-9+.-]{1,30}://[^\s/@:"'<>]{0,200}:[^\s/@"'<>]{1,200}@`, "://"),
	// Connection URLs of stores and brokers, whoever they are for.
	pattern(`(?i)\b(?:postgres|postgresql|mysql|mariadb|mongodb|mongodb\+srv|rediss?|amqps?|mssql|sqlserver|oracle|sqlite3?|cockroachdb|clickhouse|cassandra|memcached|kafka|nats|ldaps?|bolt|neo4j|couchbase|zookeeper|etcd|consul|mysqlx|pulsar|stomp)(?:\+\w+)?://`, "://"),
	pattern(`(?i)\b(?:\w+[_-])?(?:password|passwd|passphrase|pwd|secret|secret[_-]?key|api[_-]?key|access[_-]?key|auth[_-]?token|access[_-]?token|refresh[_-]?token|(?:private|encryption|signing|master)[_-]?key|pass|credentials?)(?:=[^\s=&;,)'"]{2,}|\s?=\s?['"][^'"]+['"]|["']\s*(?::|=>)\s*["'][^"']+["'])`,
		"pass", "pwd", "secret", "key", "token", "credential"),
	pattern(`(?i)\b(?:token|sig|signature|session_?id|auth)=[\w.~+/%-]{8,}`, "="),
	pattern(`\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*`, "eyj"),
	pattern(`\b(?:AKIA|ASIA|AIDA|AROA)[0-9A-Z]{16}\b`, "akia", "asia", "aida", "aroa"),
	pattern(`\b(?:sk|rk|pk|whsec)_(?:live|test)_\w{8,}|\bsk-[\w-]{20,}|\bwhsec_\w{16,}`, "sk", "rk_", "pk_", "whsec"),
	pattern(`\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|AIza[\w-]{30,}|ya29\.[\w-]{20,}|npm_\w{30,}|hv[sb]\.[\w-]{20,}|dop_v1_\w{20,}|SG\.[\w-]{16,}\.[\w-]{16,})`,
		"gh", "glpat-", "xox", "aiza", "ya29.", "npm_", "hvs.", "hvb.", "dop_v1_", "sg."),
	pattern(`\b[Bb]earer [\w.~+/-]{24,}=*`, "bearer "),
	pattern(`\b[Bb]asic [A-Za-z0-9+/]{16,}={0,2}\b`, "basic "),
	pattern(`(?i)\b(?:host|server|hostaddr)=[^\s;]+[\s;]+(?:\w+=[^\s;]*[\s;]+)*(?:user|username|uid|port|dbname|database|password)=`, "host=", "server=", "hostaddr="),
}
