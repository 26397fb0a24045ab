package gateway

import (
	"context"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/store"
	"go.uber.org/zap"
)

// auditPatience bounds how long the audit trail is waited for.
const auditPatience = 5 * time.Second

// Audit writes an entry of the audit trail, with the time of now and texts cut to what
// the trail holds. A trail that can't be written is logged: the change has been made
// and must not look as if it had not.
func (a *App) Audit(ctx context.Context, e store.AuditEntry) {
	// What was done is told even if the caller has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditPatience)
	defer cancel()
	e.At = time.Now().UTC().Truncate(time.Second)
	e.Actor, e.Target = decision.Clip(e.Actor, 256), decision.Clip(e.Target, 256)
	e.From, e.Result = decision.Clip(e.From, 64), decision.Clip(e.Result, 200)
	o, err := a.records.open(ctx)
	if err == nil {
		err = o.store.AppendAudit(ctx, e)
	}
	if err != nil {
		pool.Log("audit").Error("writing the audit trail", zap.String("action", e.Action), zap.String("target", e.Target), zap.Error(err))
	}
}
