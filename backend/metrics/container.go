package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/opsdeck/opsdeck/backend/state"
)

// minWindow is the shortest time that a rate is taken over: several samples.
const minWindow = time.Minute

// Container returns a container's figures over a span that ends at until, from what the
// collector wrote, as means over step, a number of whole seconds. Missing samples are
// negative.
func (s *Store) Container(ctx context.Context, id string, until time.Time, span, step time.Duration) (state.Series, error) {
	out := state.Series{Step: step}
	end := until.Truncate(step)
	start := end.Add(step - span)
	of := fmt.Sprintf("{id=%q}[%ds]", id, max(step, minWindow)/time.Second)
	for _, x := range []struct {
		to   *[]float64
		expr string
	}{
		{&out.CPU, "100 * sum(rate(container_cpu_usage_seconds_total" + of + "))"},
		{&out.Mem, "max(avg_over_time(container_memory_working_set_bytes" + of + "))"},
		{&out.NetRx, "sum(rate(container_network_receive_bytes_total" + of + "))"},
		{&out.NetTx, "sum(rate(container_network_transmit_bytes_total" + of + "))"},
		{&out.BlkRead, "sum(rate(container_fs_reads_bytes_total" + of + "))"},
		{&out.BlkWrite, "sum(rate(container_fs_writes_bytes_total" + of + "))"},
	} {
		q, err := s.engine.NewRangeQuery(ctx, s, nil, x.expr, start, end, step)
		if err != nil {
			return state.Series{}, fmt.Errorf("read the store: %w", err)
		}
		res := q.Exec(ctx)
		m, err := res.Matrix()
		if err == nil {
			*x.to = spread(m, start, step, int(span/step))
		}
		q.Close()
		if err != nil {
			return state.Series{}, fmt.Errorf("read the store: %w", err)
		}
	}
	return out, nil
}

// spread returns n samples with the points of one series at their times.
func spread(m promql.Matrix, start time.Time, step time.Duration, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = -1
	}
	for _, s := range m {
		for _, p := range s.Floats {
			if i := int((p.T - start.UnixMilli()) / step.Milliseconds()); i >= 0 && i < n {
				out[i] = p.F
			}
		}
	}
	return out
}
