package sqlstore

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins/store"
)

// AppendAudit implements store.Store.
func (s *Records) AppendAudit(ctx context.Context, e store.AuditEntry) error {
	if err := store.CheckAudit(e); err != nil {
		return err
	}
	return s.failed("adding to the audit trail", s.db.Append(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO audit (at, actor, action, target, origin, result) VALUES ($1, $2, $3, $4, $5, $6)`,
			encodeTime(e.At), e.Actor, e.Action, e.Target, e.From, e.Result)
		return err
	}))
}

// Audit implements store.Store.
func (s *Records) Audit(ctx context.Context, f store.AuditFilter) ([]store.AuditEntry, error) {
	conditions, args := []string{"1 = 1"}, []any{limit(f.Limit)}
	where := func(condition string, value any) {
		args = append(args, value)
		conditions = append(conditions, condition+" $"+strconv.Itoa(len(args)))
	}
	if f.Actor != "" {
		where("actor =", f.Actor)
	}
	if f.Action != "" {
		where("action =", f.Action)
	}
	if f.Target != "" {
		where("target =", f.Target)
	}
	if !f.Since.IsZero() {
		where("at >=", ceilSecond(f.Since))
	}
	if !f.Until.IsZero() {
		where("at <", ceilSecond(f.Until))
	}
	if f.Before > 0 {
		where("id <", f.Before)
	}
	entries, err := many(ctx, s, scanAudit, `SELECT id, at, actor, action, target, origin, result FROM audit
		WHERE `+strings.Join(conditions, " AND ")+` ORDER BY id DESC LIMIT $1`, args...)
	return entries, s.failed("reading the audit trail", err)
}

// SweepAudit implements store.Store.
func (s *Records) SweepAudit(ctx context.Context, before time.Time) (int, error) {
	n, err := s.sweep(ctx, s.db.Append, `DELETE FROM audit WHERE at < $1`, before.Unix())
	return n, s.failed("sweeping the audit trail", err)
}

// ceilSecond rounds up: what is kept has whole seconds, so that a bound within a
// second means the next.
func ceilSecond(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

func scanAudit(r Row) (store.AuditEntry, error) {
	var e store.AuditEntry
	var at instant
	if err := r.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.Target, &e.From, &e.Result); err != nil {
		return store.AuditEntry{}, err
	}
	e.At = at.Time
	return e, nil
}
