package gateway

import (
	"fmt"

	"github.com/dustin/go-humanize"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/internal/heaptarget"
)

// memoryTarget is the configured target in bytes.
func (a *App) memoryTarget() (uint64, error) {
	switch a.MemoryTarget {
	case "":
		return heaptarget.Default, nil
	case "off":
		return heaptarget.Off, nil
	}
	bytes, err := humanize.ParseBytes(a.MemoryTarget)
	if err != nil || bytes < 16<<20 || bytes > 1<<40 {
		return 0, fmt.Errorf("memory_target %s: write a size of 16MiB or more, such as `memory_target 64MiB`, or `memory_target off`", a.MemoryTarget)
	}
	return bytes, nil
}

// useMemoryTarget tunes the garbage collector, unless the environment does.
func (a *App) useMemoryTarget() {
	if name := heaptarget.Overridden(); name != "" {
		if a.MemoryTarget != "" {
			a.logger.Warn("memory_target is not used: the environment tunes the garbage collector", zap.String("variable", name))
		}
		return
	}
	if bytes, err := a.memoryTarget(); err == nil {
		heaptarget.Set(bytes)
	}
}
