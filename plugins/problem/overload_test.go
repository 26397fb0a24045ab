package problem

import (
	"net/http"
	"strings"
	"testing"
)

// TestOverload has the texts of pools and databases as their users meet them. The
// client learns that it can wait, and nothing else.
func TestOverload(t *testing.T) {
	tr := newTranslator(t, Config{})
	const want = "Service busy: no connection is free. Try again in 5 seconds."
	for _, c := range []struct{ name, text string }{
		{"SQLAlchemy", "QueuePool limit of size 20 overflow 10 reached"},
		{"SQLAlchemy, whole", "QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00 (Background on this error at: https://sqlalche.me/e/14/3o7r)"},
		{"SQLAlchemy, exception", "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30"},
		{"HikariCP", "HikariPool-1 - Connection is not available, request timed out after 30000ms."},
		{"HikariCP 5", "shop-db - Connection is not available, request timed out after 30001ms (total=10, active=10, idle=0, waiting=12)"},
		{"Spring", "Unable to acquire JDBC Connection; nested exception is java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out after 30000ms."},
		{"Tomcat JDBC", "[http-nio-8080-exec-7] Timeout: Pool empty. Unable to fetch a connection in 30 seconds, none available[size:100; busy:100; idle:0; lastwait:30000]."},
		{"DBCP", "Cannot get a connection, pool error Timeout waiting for idle object"},
		{"c3p0", "An attempt by a client to checkout a Connection has timed out."},
		{"PostgreSQL", "FATAL:  sorry, too many clients already"},
		{"PostgreSQL, Django", `connection to server at "10.0.0.5", port 5432 failed: FATAL:  sorry, too many clients already`},
		{"PostgreSQL, reserved", "FATAL:  remaining connection slots are reserved for non-replication superuser connections"},
		{"PostgreSQL 16", "FATAL: remaining connection slots are reserved for roles with the SUPERUSER attribute"},
		{"PostgreSQL, role", `FATAL: too many connections for role "shop"`},
		{"SQLSTATE", "SQLSTATE[53300]: Too many connections"},
		{"MySQL", `(1040, 'Too many connections')`},
		{"MySQL, PDO", "SQLSTATE[HY000] [1040] Too many connections"},
		{"MySQL, Node", "ER_CON_COUNT_ERROR: Too many connections"},
		{"MySQL, one user", "User 'shop' has exceeded the 'max_user_connections' resource: more than 'max_user_connections' active connections"},
		{"PgBouncer", "FATAL: no more connections allowed (max_client_conn)"},
		{"PgBouncer, queue", "server closed the connection: query_wait_timeout"},
		{"psycopg2", "psycopg2.pool.PoolError: connection pool exhausted"},
		{"psycopg 3", "psycopg_pool.PoolTimeout: couldn't get a connection after 30.00 sec"},
		{"node-postgres", "timeout exceeded when trying to connect"},
		{"Knex", "Knex: Timeout acquiring a connection. The pool is probably full. Are you missing a .transacting(trx) call?"},
		{"Sequelize", "SequelizeConnectionAcquireTimeoutError: Operation timeout"},
		{"Prisma", "Timed out fetching a new connection from the connection pool. (More info: http://pris.ly/d/connection-pool, Current connection pool timeout: 10, connection limit: 5)"},
		{"ActiveRecord", "could not obtain a connection from the pool within 5.000 seconds (waited 5.001 seconds); all pooled connections were in use"},
		{".NET", "Timeout expired.  The timeout period elapsed prior to obtaining a connection from the pool.  This may have occurred because all pooled connections were in use and max pool size was reached."},
		{"Npgsql", "The connection pool has been exhausted, either raise 'Max Pool Size' (currently 100) or 'Timeout' (currently 15 seconds)"},
		{"sqlx", "pool timed out while waiting for an open connection"},
		{"MongoDB", "Timed out while checking out a connection from connection pool"},
		{"Redis", "ERR max number of clients reached"},
		{"Oracle", "ORA-12519: TNS:no appropriate service handler found"},
		{"with a secret", "could not connect to postgresql://shop:hunter2@db.internal:5432/shop: FATAL: sorry, too many clients already"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, body := range []string{
				c.text,
				`{"detail":` + string(appendJSONString(nil, c.text)) + `}`,
				`{"message":` + string(appendJSONString(nil, c.text)) + `,"statusCode":500}`,
				"<html><body><h1>Error</h1><pre>" + c.text + "</pre></body></html>",
			} {
				for _, status := range []int{500, 503} {
					p, pass, got := answer(t, tr, Response{Status: status, Body: []byte(body)})
					if p.Status != http.StatusServiceUnavailable || got != `{"detail":"`+want+`"}` || p.RetryAfter != 5 || pass {
						t.Errorf("%d %s: got %d %s, retry after %d, pass %v", status, body, p.Status, got, p.RetryAfter, pass)
					}
					if p.Original == "" || strings.Contains(p.Original, "hunter2") {
						t.Errorf("%s: original for the log %q", body, p.Original)
					}
				}
			}
		})
	}
	t.Run("the upstream's own Retry-After", func(t *testing.T) {
		p, _, got := answer(t, tr, Response{Status: 503, Header: http.Header{"Retry-After": {"1"}}, Body: []byte(`{"detail":"Too many connections"}`)})
		if p.RetryAfter != 1 || got != `{"detail":"Service busy: no connection is free. Try again in 1 second."}` {
			t.Errorf("got %s, retry after %d", got, p.RetryAfter)
		}
	})
	t.Run("a text of the operator's", func(t *testing.T) {
		own := newTranslator(t, Config{Texts: map[int]string{503: "Come back later"}})
		if p, _, got := answer(t, own, Response{Status: 500, Body: []byte("Too many connections")}); p.Status != 503 || got != `{"detail":"Come back later"}` {
			t.Errorf("got %d %s", p.Status, got)
		}
	})
	t.Run("a rule of the operator's", func(t *testing.T) {
		own := newTranslator(t, Config{Rules: []Rule{{Status: 500, Contains: "QueuePool", NewStatus: 502}}})
		if p, _, got := answer(t, own, Response{Status: 500, Body: []byte("QueuePool limit of size 5 overflow 10 reached")}); p.Status != 502 || got != `{"detail":"Bad gateway"}` {
			t.Errorf("got %d %s", p.Status, got)
		}
	})
	t.Run("in a body that is too large", func(t *testing.T) {
		p, _, got := answer(t, tr, Response{Status: 500, Body: []byte("QueuePool limit of size 5 overflow 10 reached, and"), Truncated: true})
		if p.Status != 503 || got != `{"detail":"`+want+`"}` {
			t.Errorf("got %d %s", p.Status, got)
		}
	})
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"another status of the upstream's choice": {429, `{"detail":"You have too many connections open"}`},
		"a client's connections":                  {409, `{"detail":"Too many connections for this device"}`},
		"another failure":                         {500, `{"detail":"The pool is closed on Mondays"}`},
		"a pool of another kind":                  {500, `{"message":"liquidity pool exhausted"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if p, _, got := answer(t, tr, Response{Status: c.status, Body: []byte(c.body)}); p.Status != c.status || strings.Contains(got, "Service busy") {
				t.Errorf("got %d %s", p.Status, got)
			}
		})
	}
}
