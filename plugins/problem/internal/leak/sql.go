package leak

// sqlLeaks are statements, and the words of databases, their drivers and pools.
var sqlLeaks = []leakRule{
	phrases(
		// drivers and layers above them
		"sqlstate", "[sql:", "(sql:", "sql [", "sqlalche", "sqlite3.", "sqlite_", "psycopg", "asyncpg", "pymysql", "mysqlclient", "pymongo",
		"mysqli_", "mysql_", "pg_query", "pg_connect", "pdoexception", "pdo::", "mysqldb", "pq: ", "sql: ", "mysql2::", "pg::",
		"sqlite3::", "jdbc", "hibernate", "odbc", "ole db", "sqlclient", "sqlexception", "npgsql", "entityframework", "prisma",
		"sequelize", "typeorm", "queryfailederror", "knex", "mongoose.", "mongoservererror", "mongonetworkerror", "mongoerror", "eloquent",
		"doctrine", "illuminate\\", "activerecord::", "sqlerrm", "psqlexception", "db2 sql",
		"tds version", "freetds", "sqlsrv", "redis.exceptions", "elasticsearchexception",
		// pools
		"queuepool", "hikaripool", "connection pool", "connectionpool", "pool timeout", "could not obtain connection", "unable to acquire jdbc",
		"remaining connection slots", "too many clients already", "the timeout period elapsed prior", "too many connections",
		"knex: timeout acquiring", "max_connections", "overflow 10 reached", "pool exhausted",
		// servers
		"duplicate key value violates", "violates foreign key constraint", "violates unique constraint", "violates check constraint",
		"violates not-null constraint", "violates row-level security", "unique constraint failed", "not null constraint failed",
		"foreign key constraint fail", "check constraint failed", "a foreign key constraint", "duplicate entry '", "no such table", "no such column",
		"table or view", "sql syntax", "syntax error at or near", "unterminated quoted string", "unclosed quotation mark", "quoted string not properly",
		"deadlock found", "deadlock detected", "deadlocked on", "lock wait timeout", "server has gone away", "lost connection to mysql", "could not serialize access",
		"password authentication failed", "access denied for user", "no pg_hba.conf", "could not execute statement", "could not extract resultset",
		"could not execute query", "violation of primary key", "violation of unique key", "constraint [", "invalid object name '", "invalid column name '",
		"incorrect syntax near", "conversion failed when converting", "string or binary data would be truncated", "data too long for column",
		"out of range value for column", "unknown column '", "unknown database '", "unknown table '", "e11000 duplicate key", "e11000", "integrity constraint violation",
		"wrongtype operation", "noauth authentication", "readonly you can't write", "misconf redis", "crossslot", "current transaction is aborted",
		"canceling statement due to", "statement timeout", "invalid input syntax for", "operator does not exist", "etcdserver", "database is locked",
		"cannot insert the value null", "cannot insert duplicate key", "the insert statement conflicted", "the delete statement conflicted",
		"the update statement conflicted", "attempt to write a readonly database", "terminating connection due to", "the database system is",
		"jpa entitymanager", "mongo: no documents", "login failed for user '", "establishing a connection to sql server", "saving the entity changes",
		"run out of available brokers", "nohostavailable",
		"server closed the connection unexpectedly", "ssl syscall error", "buffering timed out after",
	),
	pattern(`\bpgx(?:pool)?\b`, "pgx"),
	pattern(`\bSELECT\b[\s\S]+?\bFROM\b`, "select"),
	pattern(`\b(?:INSERT\s+(?:IGNORE\s+)?INTO|REPLACE\s+INTO|DELETE\s+FROM|MERGE\s+INTO)\b`, "into", "delete"),
	pattern(`\bUPDATE\s+\S+\s+SET\b`, "update"),
	pattern(`\b(?:CREATE|ALTER|DROP|TRUNCATE)\s+(?:TABLE|INDEX|DATABASE|VIEW|SCHEMA)\b`, "table", "index", "database", "view", "schema"),
	pattern(`(?i)\bselect\s+(?:\*|[\w.,\s"'`+"`"+`\[\]()]+?)\s+from\s+["'`+"`"+`\[]?\w+["'`+"`"+`\]]?(?:\.\S+)?\s+(?:where|limit|order by|inner|left|join|as)\b`, "select"),
	pattern(`(?i)\bselect\s+(?:\*|\w+\.\w+)[\w.,\s*]*?\s+from\s+[\w.]+\s+(?:as\s+)?\w+\s+(?:where|limit|order by|inner|left|join)\b`, "select"),
	pattern(`(?i)\bselect\s+\*\s+from\b`, "select"),
	pattern(`(?i)\binsert\s+into\s+\S+\s*\(`, "insert"),
	pattern(`(?i)\bdelete\s+from\s+\S+\s+where\b`, "delete"),
	pattern(`(?i)\bupdate\s+\S+\s+set\s+\S+\s*=`, "update"),
	pattern(`(?i)\bselect\b[\s\S]*?\bunion\b`, "union"),
	// "The role "editor" does not exist" is an application's; a database says it
	// without the article.
	pattern(`(?i)(?:\brelation|(?:^|[:;(\n]\s*|[^ae\s] )(?:column|table|function|schema|constraint|database|role|type|index)) "[^"]{1,128}"[^.]{0,80}does not exist`, "does not exist"),
	pattern(`(?i)\b(?:table|view|column) '[^']{1,128}' (?:doesn't exist|already exists)`, "doesn't exist", "already exists"),
	pattern(`(?i)\bcolumn \w+\.\w+ does not exist\b`, "does not exist"),
	pattern(`(?i)\bnull value in column "`, "null value in"),
	pattern(`(?i)\bcolumn '[^']{1,128}' (?:cannot be null|specified twice|in \S+ is ambiguous)`, "column '"),
	pattern(`(?i)\b(?:fatal|error|panic|detail|hint|statement):\s+(?:role|relation|column|database|schema|key|failing row|remaining connection|permission denied for)\b`, "fatal:", "error:", "detail:", "hint:", "statement:", "panic:"),
	pattern(`\b(?:ORA|PLS|TNS|DPI|DPY|SQL|PROTOCOL|DRIVER)-\d{4,5}\b|\bSQL\d{4,5}N\b|\bMsg \d{3,5}, Level \d+|\bERROR \d{4} \(\w{5}\)|\bSQLCODE\b`, "-", "msg ", "error ", "sql"),
	pattern(`\bER_[A-Z_]{4,}\b|\bP[12]0\d\d\b.{0,40}(?i:invocation|constraint)`, "er_", "p1", "p2"),
	pattern(`(?i)\bindex: \S+ dup key\b|\bcollection: \S+ index:`, "index: "),
	pattern(`(?i)\[parameters: `, "[parameters"),
}
