package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/policy"
	"github.com/opsdeck/opsdeck/backend/state"
)

// countTimeout bounds the counting of what is unused: the engine adds up every
// layer and volume for it.
const countTimeout = time.Minute

// someNames is how many of what would go are named.
const someNames = 4

// unused is what nothing uses, by kind.
type unused struct {
	containers, images, networks, cache, volumes, named []resource
}

type resource struct {
	id, name string
	bytes    float64
}

// count returns what is unused in the engine.
func count(ctx context.Context, cli *client.Client) (unused, error) {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	var u unused
	du, err := cli.DiskUsage(ctx, client.DiskUsageOptions{Containers: true, Images: true, Volumes: true, BuildCache: true, Verbose: true})
	if err != nil {
		return u, fmt.Errorf("list what is used: %s", state.Clean(err.Error()))
	}
	for _, c := range du.Containers.Items {
		if c.State == container.StateExited || c.State == container.StateCreated || c.State == container.StateDead {
			var sum state.Container
			fromSummary(&sum, c)
			u.containers = append(u.containers, resource{c.ID, sum.Title, float64(c.SizeRw)})
		}
	}
	for _, i := range du.Images.Items {
		dangling := !slices.ContainsFunc(i.RepoTags, func(t string) bool { return t != "<none>:<none>" })
		if dangling && i.Containers == 0 {
			u.images = append(u.images, resource{i.ID, short(strings.TrimPrefix(i.ID, "sha256:")), float64(max(0, i.Size-max(0, i.SharedSize)))})
		}
	}
	for _, v := range du.Volumes.Items {
		if v.UsageData == nil || v.UsageData.RefCount != 0 {
			continue
		}
		t := resource{v.Name, state.Clean(v.Name), float64(v.UsageData.Size)}
		if anonymous.MatchString(v.Name) {
			t.name = short(v.Name)
			u.volumes = append(u.volumes, t)
		} else {
			u.named = append(u.named, t)
		}
	}
	for _, b := range du.BuildCache.Items {
		if !b.InUse && !b.Shared {
			u.cache = append(u.cache, resource{b.ID, short(b.ID), float64(b.Size)})
		}
	}
	// The engine's own filter takes a network for unused whose containers are stopped,
	// and some versions any: a container would not start again without it.
	used := map[string]bool{}
	for _, c := range du.Containers.Items {
		if c.NetworkSettings == nil {
			continue
		}
		for name, n := range c.NetworkSettings.Networks {
			used[name] = true
			if n != nil {
				used[n.NetworkID] = true
			}
		}
	}
	nets, err := cli.NetworkList(ctx, client.NetworkListOptions{}) // Podman knows no filter by scope
	if err != nil {
		return u, fmt.Errorf("list unused networks: %s", state.Clean(err.Error()))
	}
	for _, n := range nets.Items {
		if n.Scope == "local" && !builtIn[n.Name] && !used[n.ID] && !used[n.Name] && !n.Ingress {
			u.networks = append(u.networks, resource{n.ID, state.Clean(n.Name), -1})
		}
	}
	return u, nil
}

// builtIn are the networks that an engine makes for itself and does not let go.
var builtIn = map[string]bool{"bridge": true, "host": true, "none": true, "nat": true, "podman": true}

func short(id string) string { return state.Clean(id[:min(12, len(id))]) }

// sum returns the largest of things, and all together.
func sum(things []resource) state.Unused {
	out := state.Unused{Count: len(things)}
	slices.SortFunc(things, func(a, b resource) int { return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.name, b.name)) })
	for i, t := range things {
		if t.bytes >= 0 && out.Bytes >= 0 {
			out.Bytes += t.bytes
		} else {
			out.Bytes = -1
		}
		if i < someNames {
			out.Some = append(out.Some, t.name)
		}
	}
	return out
}

// reclaim returns what a prune would take.
func reclaim(ctx context.Context, cli *client.Client) *state.Reclaim {
	u, err := count(ctx, cli)
	r := &state.Reclaim{At: time.Now()}
	if err != nil {
		r.Err = err.Error()
		return r
	}
	r.Containers, r.Images, r.Networks = sum(u.containers), sum(u.images), sum(u.networks)
	r.Cache, r.Volumes, r.Named = sum(u.cache), sum(u.volumes), sum(u.named)
	return r
}

// prune removes what nothing uses, of the kinds that are asked for: one by one, as it
// was counted, never by force, so that what came into use in the meantime
// stays. The build cache alone goes as a whole.
func (s *Source) prune(ctx context.Context, cli *client.Client, args map[string]string, progress func(string, float64)) (state.Outcome, error) {
	want := map[string]bool{}
	for _, k := range []string{"containers", "images", "networks", "cache"} {
		yes, err := policy.ParseYes(args[k])
		if err != nil {
			return state.Outcome{}, fmt.Errorf("docker: prune: %s: %w", k, err)
		}
		want[k] = yes
	}
	want["named"] = args["volumes"] == "all"
	if !want["named"] {
		yes, err := policy.ParseYes(args["volumes"])
		if err != nil {
			return state.Outcome{}, fmt.Errorf("docker: prune: volumes: %w", err)
		}
		want["volumes"] = yes
	} else {
		want["volumes"] = true
	}
	progress("counting what is unused", -1)
	u, err := count(ctx, cli)
	if err != nil {
		return state.Outcome{}, fmt.Errorf("docker: prune: %w: nothing was removed", err)
	}
	var did []string
	freed := 0.0
	each := func(key, noun, rest string, things []resource, remove func(resource) error) error {
		if !want[key] || len(things) == 0 {
			return nil
		}
		gone, kept := 0, 0
		var last error
		for i, t := range things {
			if err := ctx.Err(); err != nil {
				return err
			}
			progress(fmt.Sprintf("removing %ss%s %d of %d: %s", noun, rest, i+1, len(things), t.name), 100*float64(i)/float64(len(things)))
			switch err := remove(t); {
			case err == nil, errdefs.IsNotFound(err):
				gone++
				freed += max(0, t.bytes)
			default:
				kept, last = kept+1, err
			}
		}
		text := state.Plural(gone, noun) + rest
		if kept > 0 {
			text += fmt.Sprintf(" (%d stayed: %s)", kept, state.Clean(last.Error()))
		}
		did = append(did, text)
		return nil
	}
	err = each("containers", "container", "", u.containers, func(t resource) error {
		_, err := cli.ContainerRemove(ctx, t.id, client.ContainerRemoveOptions{})
		return err
	})
	if err == nil {
		err = each("networks", "network", "", u.networks, func(t resource) error {
			_, err := cli.NetworkRemove(ctx, t.id, client.NetworkRemoveOptions{})
			return err
		})
	}
	volume := func(t resource) error {
		_, err := cli.VolumeRemove(ctx, t.id, client.VolumeRemoveOptions{})
		return err
	}
	if err == nil {
		err = each("volumes", "volume", " without a name", u.volumes, volume)
	}
	if err == nil {
		err = each("named", "named volume", "", u.named, volume)
	}
	if err == nil {
		err = each("images", "image", "", u.images, func(t resource) error {
			_, err := cli.ImageRemove(ctx, t.id, client.ImageRemoveOptions{PruneChildren: true})
			return err
		})
	}
	if err == nil && want["cache"] && len(u.cache) > 0 {
		progress("removing build cache", -1)
		var got client.BuildCachePruneResult
		if got, err = cli.BuildCachePrune(ctx, client.BuildCachePruneOptions{}); err == nil {
			freed += float64(got.Report.SpaceReclaimed)
			did = append(did, state.Plural(len(got.Report.CachesDeleted), "record")+" of build cache")
		}
	}
	if err != nil {
		so := "nothing was removed"
		if len(did) > 0 {
			so = "removed before: " + strings.Join(did, ", ")
		}
		if errors.Is(err, context.Canceled) {
			return state.Outcome{}, fmt.Errorf("docker: prune: %w: %s", err, so)
		}
		return state.Outcome{}, fmt.Errorf("docker: prune: %s: %s", state.Clean(err.Error()), so)
	}
	if len(did) == 0 {
		return state.Outcome{Result: "nothing selected was unused"}, nil
	}
	return state.Outcome{Result: fmt.Sprintf("removed %s; %s freed", strings.Join(did, ", "), state.Size(freed))}, nil
}
