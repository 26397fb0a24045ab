package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATEs (https://www.postgresql.org/docs/current/errcodes-appendix.html).
const (
	codeTaken          = "23505"
	codeReadOnly       = "25006"
	codeBadAuth        = "28000"
	codeBadPassword    = "28P01"
	codeNoDatabase     = "3D000"
	codeNoSchema       = "3F000"
	codeNoRight        = "42501"
	codeNoColumn       = "42703"
	codeTableThere     = "42P07"
	codeFunctionThere  = "42723"
	codeTooMany        = "53300"
	codeCanceled       = "57014"
	codeStarting       = "57P03"
	codeUnknownSetting = "08P01"
	codeStatementThere = "42P05"
	codeNoStatement    = "26000"
)

// explain adds what to do to the errors of opening the store.
func explain(err error) error {
	if advice := adviceFor(err); advice != "" {
		return fmt.Errorf("%w; %s", flat{err}, advice)
	}
	return flat{err}
}

func adviceFor(err error) string {
	switch codeOf(err) {
	case codeBadPassword, codeBadAuth:
		return "look at the user and the password of the URL, and at the server's pg_hba.conf"
	case codeNoDatabase:
		return "make the database: `createdb --owner USER --encoding UTF8 NAME`"
	case codeNoRight, codeNoSchema:
		return "the role must own the database, or have CREATE on its schema: `ALTER DATABASE NAME OWNER TO USER`, `GRANT CREATE, USAGE ON SCHEMA public TO USER`"
	case codeNoColumn, codeTableThere, codeFunctionThere:
		return "tables of another application are there; nothing was changed: give the gateway a database, or a schema (&search_path=NAME), of its own"
	case codeTooMany:
		return "the server has as many clients as it takes: lower max_connections of the gateways, or raise that of the server"
	case codeReadOnly:
		return adviceReplica
	case codeStarting:
		return "the server is starting or stopping: try again when it is up"
	case codeCanceled:
		return "somebody holds a lock on its tables: look into pg_stat_activity, end that, and start again"
	case codeStatementThere, codeNoStatement:
		return "a pooler such as PgBouncer lends connections by the transaction: add default_query_exec_mode=exec to the URL"
	case codeUnknownSetting:
		return "a pooler such as PgBouncer takes few parameters: leave others out of the URL"
	}
	var netOp interface{ Timeout() bool }
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return "start PostgreSQL, or name the host and port at which it listens"
	case errors.As(err, &unknown):
		return "name the CA that signed the server's certificate: &sslrootcert=/path/of/ca.pem"
	case errors.As(err, &name):
		return "connect by a name that is in the server's certificate"
	case errors.As(err, &record), strings.Contains(err.Error(), "server refused TLS connection"):
		return "switch TLS on in the server (`ssl = on`), or write sslmode=disable where nobody else can listen"
	case errors.Is(err, pgconn.ErrReadOnlyConnection):
		return adviceReplica
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netOp) && netOp.Timeout(), pgconn.Timeout(err):
		return "nothing answers there in time: look at the network and the firewall, and for somebody who holds a lock on its tables"
	}
	return ""
}

const adviceReplica = "it can only be read, as a replica: name the primary, or all hosts, separated by commas"

// flat is an error on one line: the driver puts each host that it tried on its own.
type flat struct{ error }

func (f flat) Error() string {
	return strings.Join(strings.FieldsFunc(f.error.Error(), func(r rune) bool { return r == '\n' || r == '\t' }), " ")
}

func (f flat) Unwrap() error { return f.error }
