package problem

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/leak"
)

// An upstream that has run out of connections says so in the words of its pool or
// of its database, mostly with status 500. For the client it is a 503 to wait out.
// The words themselves stay in the log: they name the software behind the gateway,
// and often the host.

// overloadText is the public text of an overload, around the seconds to wait.
func overloadText(seconds int) string {
	if seconds == 1 {
		return "Service busy: no connection is free. Try again in 1 second."
	}
	return "Service busy: no connection is free. Try again in " + strconv.Itoa(seconds) + " seconds."
}

// overloadHints are texts of which each match of overloadWords has one. They rule
// most errors out at a small cost.
var overloadHints = []string{"pool", "connection", "clients", "slot", "query_wait_timeout", "53300", "ora-", "resourcerequest", "to connect", "acquisition timeout"}

// overloadWords match what pools and databases say, in lower case, when all
// connections are taken.
var overloadWords = regexp.MustCompile(`(?:` +
	// SQLAlchemy
	`queuepool limit of size \d+ overflow \d+ reached` +
	// HikariCP, Tomcat JDBC, Commons DBCP, c3p0, Agroal
	`|connection is not available, request timed out after \d` +
	`|pool empty\. unable to fetch a connection in \d` +
	`|cannot get a connection, (?:pool error timeout waiting for idle object|pool exhausted)` +
	`|attempt by a client to checkout a connection has timed out` +
	`|sorry, acquisition timeout!` +
	// PostgreSQL
	`|sorry, too many clients already|remaining connection slots are reserved|too many connections for (?:role|database)|sqlstate[ :=\[(]{0,3}53300` +
	// MySQL, MariaDB
	`|\btoo many connections\b|more than 'max_user_connections' active connections` +
	// PgBouncer
	`|no more connections allowed \(max_client_conn\)|\bquery_wait_timeout\b` +
	// psycopg 2 and 3, which Django uses
	`|\bconnection pool exhausted\b|couldn't get a connection after [\d.]+ sec` +
	// node-postgres, Knex, Sequelize, mysql2, Prisma
	`|timeout exceeded when trying to connect\b|timeout acquiring a connection\. the pool is probably full` +
	`|connectionacquiretimeout|resourcerequest timed out|no connections available\b|timed out fetching a new connection from the connection pool` +
	// ActiveRecord
	`|could not obtain a (?:database )?connection (?:from the pool )?within [\d.]+ sec` +
	// .NET
	`|timeout period elapsed prior to obtaining a connection from the pool|the connection pool has been exhausted` +
	// sqlx, r2d2, bb8, deadpool
	`|pool timed out while waiting for an open connection|timed out waiting for (?:a )?connection\b|timeout occurred while waiting for a slot to become available` +
	// MongoDB, Redis, HTTP clients with a pool
	`|timed out while (?:checking out|waiting for) a connection from (?:the )?connection pool|err max number of clients reached` +
	`|timeout waiting for connection from pool|redis: connection pool timeout` +
	// Oracle
	`|\bora-(?:00018|00020|12516|12519|12520)\b)`)

// overloaded reports whether an upstream says that it has no connection left. Only
// a 500, which says nothing else, and a 503 are taken for that: an upstream that
// chose another status has its reason.
func overloaded(status int, text string) bool {
	if status != http.StatusInternalServerError && status != http.StatusServiceUnavailable {
		return false
	}
	text = strings.ToLower(text[:min(len(text), leak.Window)])
	for _, hint := range overloadHints {
		if strings.Contains(text, hint) {
			return overloadWords.MatchString(text)
		}
	}
	return false
}

// overload answers for an upstream that has no connection left. Times in its text
// are those it waited itself, so that only its headers say how long to wait.
func (t *Translator) overload(r Response, text string) Problem {
	p := Problem{Status: http.StatusServiceUnavailable, Reader: "overload", Message: FateHidden, Original: redact(text)}
	p.RetryAfter = floorRetryAfter(p.Status, RetryAfter(p.Status, r.Header, t.now()))
	if configured, ok := t.texts[p.Status]; ok {
		p.Detail = configured
	} else {
		p.Detail = overloadText(p.RetryAfter)
	}
	return p
}
