package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins/store"
)

// AppendAudit implements store.Store.
func (s *Store) AppendAudit(ctx context.Context, e store.AuditEntry) error {
	if err := store.CheckAudit(e); err != nil {
		return err
	}
	return failed("adding to the audit trail", s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO audit (at, actor, action, target, origin, result) VALUES (?, ?, ?, ?, ?, ?)`,
			encodeTime(e.At), e.Actor, e.Action, e.Target, e.From, e.Result)
		return err
	}))
}

// Audit implements store.Store.
func (s *Store) Audit(ctx context.Context, f store.AuditFilter) ([]store.AuditEntry, error) {
	conditions, args := []string{"1"}, []any(nil)
	where := func(condition string, value any) {
		conditions, args = append(conditions, condition), append(args, value)
	}
	if f.Actor != "" {
		where("actor = ?", f.Actor)
	}
	if f.Action != "" {
		where("action = ?", f.Action)
	}
	if f.Target != "" {
		where("target = ?", f.Target)
	}
	if !f.Since.IsZero() {
		where("at >= ?", ceilSecond(f.Since))
	}
	if !f.Until.IsZero() {
		where("at < ?", ceilSecond(f.Until))
	}
	if f.Before > 0 {
		where("id < ?", f.Before)
	}
	entries, err := collect(ctx, s.read, scanAudit, `SELECT id, at, actor, action, target, origin, result FROM audit
		WHERE `+strings.Join(conditions, " AND ")+` ORDER BY id DESC LIMIT ?`, append(args, limit(f.Limit))...)
	return entries, failed("reading the audit trail", err)
}

// SweepAudit implements store.Store.
func (s *Store) SweepAudit(ctx context.Context, before time.Time) (int, error) {
	n, err := s.sweep(ctx, `DELETE FROM audit WHERE at < ?`, before)
	return n, failed("sweeping the audit trail", err)
}

// ceilSecond rounds up: what is kept has whole seconds, so that a bound within a
// second means the next.
func ceilSecond(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

func scanAudit(r row) (store.AuditEntry, error) {
	var e store.AuditEntry
	var at instant
	if err := r.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.Target, &e.From, &e.Result); err != nil {
		return store.AuditEntry{}, err
	}
	e.At = at.Time
	return e, nil
}
