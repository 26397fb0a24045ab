package gateway

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/store"
)

// auditTimeout is how long to wait for the audit trail.
const auditTimeout = 5 * time.Second

// Audit writes an entry of the audit trail, with the current time and with texts clipped
// to their bounds. A failure is logged and not returned: the change has been made, and
// must not look as if it had failed.
func (a *App) Audit(ctx context.Context, e store.AuditEntry) {
	// Also if the client has disconnected.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	e.At = time.Now().UTC().Truncate(time.Second)
	e.Actor, e.Target = decision.Clip(e.Actor, 256), decision.Clip(e.Target, 256)
	e.From, e.Result = decision.Clip(e.From, 64), decision.Clip(e.Result, 200)
	o, err := a.shared.open(ctx)
	if err == nil {
		err = o.store.AppendAudit(ctx, e)
	}
	if err != nil {
		pool.Log("audit").Error("writing the audit trail", zap.String("action", e.Action), zap.String("target", e.Target), zap.Error(err))
	}
}
