package docker

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/state"
)

// How old what is said of the engine may become while it is shown. Disk use
// makes the engine measure every layer and volume.
const (
	infoEvery   = 10 * time.Second
	diskEvery   = time.Minute
	diskTimeout = time.Minute
)

// engineDetail fetches, in the background, the engine's own figures while they are
// shown.
func (r *run) engineDetail(ctx context.Context) {
	wanted := false
	for _, l := range r.detailRequests() {
		wanted = wanted || l.parts[state.PartEngine]
	}
	if !wanted || r.fetchingEngine {
		if !wanted && r.section.Engines != nil && !r.fetchingEngine {
			r.section.Engines = nil
			r.publish()
		}
		return
	}
	d := r.section.Engines[""]
	if d.Err == "" && time.Since(d.At) < infoEvery {
		return
	}
	r.fetchingEngine = true
	r.wg.Go(func() {
		tell := func(d state.EngineDetail) {
			select {
			case r.engines <- d:
			case <-ctx.Done():
			}
		}
		d := r.s.fetchEngine(ctx, r.cli, d)
		if d.DiskFetch.At.IsZero() && d.Err == "" {
			tell(d) // measuring takes long on a full engine: the rest does not wait for it
		}
		if d.Err == "" && (d.DiskFetch.Err != "" || time.Since(d.DiskFetch.At) >= diskEvery) {
			d = r.s.fetchDisk(ctx, r.cli, d)
		}
		tell(d)
	})
}

// takeEngine publishes what the engine said of itself. The first of two answers
// comes without the disk use.
func (r *run) takeEngine(d state.EngineDetail) {
	r.fetchingEngine = d.DiskFetch == (state.Fetch{}) && d.Err == ""
	r.section.Engines = map[string]state.EngineDetail{"": d}
	r.publish()
}

// fetchEngine fetches the engine's properties; a failure leaves the last ones.
func (s *Source) fetchEngine(ctx context.Context, cli *client.Client, d state.EngineDetail) state.EngineDetail {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := cli.Info(ctx, client.InfoOptions{})
	if err != nil {
		d.Err = s.clean("info: " + err.Error())
		return d
	}
	in := res.Info
	d.Fetch = state.Fetch{At: time.Now()}
	d.Version, d.API = state.Clean(in.ServerVersion), state.Clean(cli.ClientVersion())
	d.System = state.Clean(fmt.Sprintf("%s, kernel %s, %s", in.OperatingSystem, in.KernelVersion, in.Architecture))
	d.Storage, d.Root = state.Clean(in.Driver), state.Clean(in.DockerRootDir)
	d.Cgroup = state.Clean(strings.TrimPrefix(strings.Join([]string{"v" + in.CgroupVersion, in.CgroupDriver}, ", by "), "v, by "))
	d.CPUs, d.Mem = in.NCPU, float64(in.MemTotal)
	d.Containers, d.Running, d.Paused, d.Stopped, d.Images = in.Containers, in.ContainersRunning, in.ContainersPaused, in.ContainersStopped, in.Images
	d.Warnings = nil
	for _, w := range in.Warnings {
		d.Warnings = append(d.Warnings, s.clean(w))
	}
	return d
}

// fetchDisk fetches the disk use of the engine.
func (s *Source) fetchDisk(ctx context.Context, cli *client.Client, d state.EngineDetail) state.EngineDetail {
	ctx, cancel := context.WithTimeout(ctx, diskTimeout)
	defer cancel()
	u, err := cli.DiskUsage(ctx, client.DiskUsageOptions{Containers: true, Images: true, Volumes: true, BuildCache: true})
	if err != nil {
		d.DiskFetch.Err = s.clean("disk use: " + err.Error())
		return d
	}
	use := func(kind string, count, active, size, free int64) state.DiskUse {
		return state.DiskUse{Kind: kind, Count: int(count), Active: int(active), Size: float64(max(0, size)), Free: float64(max(0, free))}
	}
	d.DiskFetch = state.Fetch{At: time.Now()}
	d.Disk = []state.DiskUse{
		use("images", u.Images.TotalCount, u.Images.ActiveCount, u.Images.TotalSize, u.Images.Reclaimable),
		use("containers", u.Containers.TotalCount, u.Containers.ActiveCount, u.Containers.TotalSize, u.Containers.Reclaimable),
		use("volumes", u.Volumes.TotalCount, u.Volumes.ActiveCount, u.Volumes.TotalSize, u.Volumes.Reclaimable),
		use("build cache", u.BuildCache.TotalCount, u.BuildCache.ActiveCount, u.BuildCache.TotalSize, u.BuildCache.Reclaimable),
	}
	return d
}

// eventOf returns an event in words: "die, exit code 137".
func eventOf(m events.Message) state.ContainerEvent {
	what := string(m.Action)
	for _, a := range [...][2]string{{"exitCode", "exit code "}, {"signal", "signal "}, {"oldName", "was "}} {
		if v := m.Actor.Attributes[a[0]]; v != "" {
			what += ", " + a[1] + strings.TrimPrefix(v, "/")
		}
	}
	return state.ContainerEvent{At: time.Unix(0, m.TimeNano), What: state.Clean(what)}
}
