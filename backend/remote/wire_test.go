package remote

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/state"
)

// over sends f as the wire does and applies it to last.
func over(t testing.TB, f *frame, last *state.Snapshot) *state.Snapshot {
	t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var got frame
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	s, err := got.apply(last)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// text returns all of a snapshot as JSON, tails included.
func text(t testing.TB, s *state.Snapshot) string {
	t.Helper()
	all := map[string]any{"version": s.Version, "versions": s.Versions, "at": s.At.UnixNano()}
	for _, name := range state.SectionNames() {
		all[string(name)] = s.Section(name)
	}
	tails := map[string]any{}
	for id, tl := range s.Logs.Tails {
		records := tl.Records
		if records == nil {
			records = []state.LogRecord{}
		}
		tails[id] = map[string]any{"records": records, "dropped": tl.Dropped}
	}
	all["tails"] = tails
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func same(t testing.TB, what string, got, want *state.Snapshot) {
	t.Helper()
	g, w := text(t, got), text(t, want)
	if g == w {
		return
	}
	gl, wl := strings.Split(g, "\n"), strings.Split(w, "\n")
	for i := range wl {
		if i >= len(gl) || gl[i] != wl[i] {
			t.Fatalf("%s: line %d of the snapshot is\n%s\nwant\n%s", what, i, gl[min(i, len(gl)-1)], wl[i])
		}
	}
	t.Fatalf("%s: there is more than was sent", what)
}

// TestEverySectionCrossesTheWire sends each named snapshot after the other.
func TestEverySectionCrossesTheWire(t *testing.T) {
	d, got := newDiffer(), &state.Snapshot{}
	for i, name := range append(fake.Names, "healthy") {
		s := *fake.Named(name)
		s.Version, s.Versions = uint64(10*(i+1)), map[state.SectionName]uint64{}
		for _, sec := range state.SectionNames() {
			s.Versions[sec] = s.Version
		}
		f, err := d.frame(&s)
		if err != nil {
			t.Fatal(err)
		}
		got = over(t, f, got)
		same(t, name, got, &s)
	}
}

// TestNoFieldIsLeftOut fills every field of every section by reflection.
func TestNoFieldIsLeftOut(t *testing.T) {
	s := state.Snapshot{Version: 3, At: time.Unix(1, 0).UTC(), Versions: map[state.SectionName]uint64{}}
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		if _, ok := v.Field(i).Interface().(state.Section); ok {
			fill(v.Field(i), 0)
		}
	}
	for _, name := range state.SectionNames() {
		s.Versions[name] = 3
	}
	s.Logs.Tails = map[string]state.Tail{"a": {Records: records(1, 3), Dropped: 2}}
	f, err := newDiffer().frame(&s)
	if err != nil {
		t.Fatal(err)
	}
	got := over(t, f, &state.Snapshot{})
	for _, name := range state.SectionNames() {
		if name == state.SectionLogs {
			continue
		}
		want, is := s.Section(name), got.Section(name)
		if !reflect.DeepEqual(want, is) {
			t.Errorf("%s arrives as\n%+v\nwant\n%+v", name, is, want)
		}
	}
	same(t, "all", got, &s)
}

// fill puts something other than zero into every field that the wire carries.
func fill(v reflect.Value, depth int) {
	if depth > 6 {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1234567890, 123).UTC()))
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
				fill(v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(k, depth+1)
		fill(e, depth+1)
		v.SetMapIndex(k, e)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(6)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1.5)
	}
}

func record(seq uint64, text string) state.LogRecord {
	return state.LogRecord{Seq: seq, Nanos: int64(seq), Text: text}
}

func records(from, to uint64) (out []state.LogRecord) {
	for n := from; n <= to; n++ {
		out = append(out, record(n, fmt.Sprint("line ", n)))
	}
	return out
}

// TestOnlyWhatIsNewOfALogIsSent counts what crosses the wire.
func TestOnlyWhatIsNewOfALogIsSent(t *testing.T) {
	d, got := newDiffer(), &state.Snapshot{}
	version := uint64(0)
	next := func(what string, tails map[string]state.Tail, wantNew int) {
		t.Helper()
		version++
		s := &state.Snapshot{Version: version, Versions: map[state.SectionName]uint64{state.SectionLogs: version}, Logs: state.Logs{Tails: tails}}
		f, err := d.frame(s)
		if err != nil {
			t.Fatal(err)
		}
		sent := 0
		for _, tl := range f.Tails {
			sent += len(tl.New)
		}
		if sent != wantNew {
			t.Errorf("%s: %d records are sent, want %d", what, sent, wantNew)
		}
		got = over(t, f, got)
		same(t, what, got, s)
	}
	one := func(records []state.LogRecord, dropped uint64) map[string]state.Tail {
		return map[string]state.Tail{"a": {Records: records, Dropped: dropped}}
	}
	next("first", one(records(1, 5), 0), 5)
	next("nothing new", one(records(1, 5), 0), 0)
	next("two more", one(records(1, 7), 0), 2)
	next("old ones drop", one(records(4, 9), 3), 2)
	next("only drops", one(records(6, 9), 5), 0)
	next("all drop", one(records(100, 103), 99), 4)
	next("a line continues the last record", one(append(records(100, 102), record(103, "line 103\n  at x")), 99), 1)
	next("it goes on after that", one(append(records(100, 102), record(103, "line 103\n  at x"), record(104, "y")), 99), 1)
	next("an unfinished line", one(append(records(100, 102), record(103, "line 103\n  at x"), record(104, "y"), record(105, "unfin")), 99), 1)
	next("it is finished and two follow", one(append(records(100, 102), record(103, "line 103\n  at x"), record(104, "y"), record(105, "unfinished"), record(106, "z")), 99), 2)
	next("it is taken back", one(append(records(100, 102), record(103, "line 103\n  at x")), 99), 0)
	next("the source begins anew", one(records(1, 3), 0), 3)
	next("and again, further on than before", one([]state.LogRecord{record(1, "a"), record(2, "b"), record(3, "c"), record(4, "d")}, 0), 4)
	next("it is emptied", one(nil, 4), 0)
	next("still", one(nil, 4), 0)
	next("something comes", one([]state.LogRecord{record(5, "e")}, 4), 1)
	next("another source", map[string]state.Tail{"a": {Records: []state.LogRecord{record(5, "e")}, Dropped: 4}, "b": {Records: records(1, 2)}}, 2)
	next("one goes", map[string]state.Tail{"b": {Records: records(1, 2)}}, 0)
	next("and comes back", map[string]state.Tail{"a": {Records: []state.LogRecord{record(5, "e")}}, "b": {Records: records(1, 2)}}, 1)
	next("all go", nil, 0)
}

func TestARecordOfAViewIsSentOnce(t *testing.T) {
	d, got := newDiffer(), &state.Snapshot{}
	version := uint64(0)
	next := func(what string, wantSame int, views ...state.LogWindow) {
		t.Helper()
		version++
		s := &state.Snapshot{Version: version, Versions: map[state.SectionName]uint64{state.SectionLogs: version}, Logs: state.Logs{Views: views}}
		f, err := d.frame(s)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Same) != wantSame || wantSame > 0 && strings.Contains(string(f.Sections[state.SectionLogs]), "line 2") {
			t.Errorf("%s: %d views are the same, want %d: %s", what, len(f.Same), wantSame, f.Sections[state.SectionLogs])
		}
		got = over(t, f, got)
		same(t, what, got, s)
	}
	window := func(at int64, passed uint64, recs ...state.LogRecord) state.LogWindow {
		w := state.LogWindow{View: state.LogView{Source: "a", At: at}, Records: recs, Passed: passed}
		for i := range recs {
			w.Offsets = append(w.Offsets, int64(i))
		}
		return w
	}
	next("first", 0, window(1, 0, records(1, 3)...))
	next("counts have grown", 1, window(1, 7, records(1, 3)...))
	next("and again", 1, window(1, 8, records(1, 3)...))
	next("another place", 0, window(2, 8, records(1, 3)...))
	next("a second one", 1, window(2, 8, records(1, 3)...), window(1, 8, record(7, "x")))
	next("a record has grown", 0, window(2, 8, append(records(1, 2), record(3, "line 3 and more"))...))
	next("nobody looks", 0)
	next("back", 0, window(2, 8, records(1, 3)...))
}

// TestTailsArriveWhateverHappensToThem lets a log do at random what logs do, and
// wants that no snapshot that was given out is written to afterwards.
func TestTailsArriveWhateverHappensToThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, got := newDiffer(), &state.Snapshot{}
		var tl []state.LogRecord
		seq, dropped := uint64(0), uint64(0)
		type given struct {
			s    *state.Snapshot
			text string
		}
		var out []given
		for version := range uint64(rapid.IntRange(1, 20).Draw(t, "frames")) {
			for range rapid.IntRange(0, 3).Draw(t, "events") {
				switch rapid.IntRange(0, 5).Draw(t, "event") {
				case 0, 1:
					for range rapid.IntRange(1, 5).Draw(t, "lines") {
						seq++
						tl = append(tl[:len(tl):len(tl)], record(seq, rapid.StringN(0, 5, -1).Draw(t, "text")))
					}
				case 2: // the last is continued
					if n := len(tl); n > 0 {
						grown := append([]state.LogRecord(nil), tl...)
						grown[n-1].Text += "\nmore"
						tl = grown
					}
				case 3: // old ones drop
					n := rapid.IntRange(0, len(tl)).Draw(t, "drop")
					tl, dropped = tl[n:], dropped+uint64(n)
				case 4: // an unfinished line is removed
					if n := len(tl); n > 0 {
						tl = tl[: n-1 : n-1]
						seq--
					}
				case 5: // the source is replaced
					tl, seq, dropped = nil, 0, 0
				}
			}
			s := &state.Snapshot{Version: version + 1, Versions: map[state.SectionName]uint64{state.SectionLogs: version + 1},
				Logs: state.Logs{Tails: map[string]state.Tail{"a": {Records: tl, Dropped: dropped}}}}
			f, err := d.frame(s)
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			var g frame
			if err := json.Unmarshal(b, &g); err != nil {
				t.Fatal(err)
			}
			if got, err = g.apply(got); err != nil {
				t.Fatal(err)
			}
			// Dropped alone is not sent: it matters with the records only.
			if a, b := fmt.Sprintf("%v", got.Logs.Tails["a"].Records), fmt.Sprintf("%v", tl); a != b {
				t.Fatalf("arrives as\n%s\nwant\n%s", a, b)
			}
			out = append(out, given{got, fmt.Sprintf("%v", got.Logs.Tails["a"].Records)})
		}
		for i, g := range out {
			if now := fmt.Sprintf("%v", g.s.Logs.Tails["a"].Records); now != g.text {
				t.Fatalf("snapshot %d was changed after it was given out: it was\n%s\nand is\n%s", i, g.text, now)
			}
		}
	})
}

// TestASectionWithoutAJSONFormStopsNothing: the others arrive, the last one stays.
func TestASectionWithoutAJSONFormStopsNothing(t *testing.T) {
	d := newDiffer()
	s := &state.Snapshot{Version: 1, Versions: map[state.SectionName]uint64{state.SectionHost: 1, state.SectionQueues: 1},
		Host: state.Host{Load1: 1}, Queues: state.Queues{Server: "one"}}
	f, err := d.frame(s)
	if err != nil {
		t.Fatal(err)
	}
	got := over(t, f, &state.Snapshot{})
	s = &state.Snapshot{Version: 2, Versions: map[state.SectionName]uint64{state.SectionHost: 2, state.SectionQueues: 2},
		Host: state.Host{Load1: math.NaN()}, Queues: state.Queues{Server: "two"}}
	f, err = d.frame(s)
	if err == nil || !strings.Contains(err.Error(), "section host") {
		t.Errorf("the error is %v, want it to name the section", err)
	}
	if got = over(t, f, got); got.Host.Load1 != 1 || got.Queues.Server != "two" {
		t.Errorf("host load %v, queues %q: want the last good and the new", got.Host.Load1, got.Queues.Server)
	}
}

// TestANewerEnginesSectionsAreLeftAside: an unknown section or field is no fault.
func TestANewerEnginesSectionsAreLeftAside(t *testing.T) {
	var f frame
	if err := json.Unmarshal([]byte(`{"version":9,"news":1,"versions":{"weather":9,"host":9},"sections":{"weather":{"rain":true},"host":{"load1":2,"fog":3},"queues":[]}}`), &f); err != nil {
		t.Fatal(err)
	}
	s, err := f.apply(&state.Snapshot{Queues: state.Queues{Server: "one"}})
	if err != nil || s.Host.Load1 != 2 || s.Queues.Server != "one" || s.Version != 9 {
		t.Errorf("%+v, %v", s, err)
	}
}

// FuzzFrame reads any line as a frame, as a broken link could give it.
func FuzzFrame(f *testing.F) {
	s := *fake.Named("incident")
	for _, sec := range []state.SectionName{state.SectionHost, state.SectionActions, state.SectionLogs} {
		s.Versions = map[state.SectionName]uint64{sec: s.Version} // one at a time: small inputs are mutated faster
		fr, err := newDiffer().frame(&s)
		if err != nil {
			f.Fatal(err)
		}
		b, err := json.Marshal(fr)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 4<<10)])
	}
	f.Add([]byte(`{"version":18446744073709551615,"tails":{"a":{"first":18446744073709551615,"last":1,"new":[{"seq":3},{"seq":1}]}},"gone":["a","b"]}`))
	f.Add([]byte(`{"sections":{"logs":null,"modules":{"list":null}},"versions":null}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var fr frame
		if json.Unmarshal(line, &fr) != nil {
			return
		}
		last := &state.Snapshot{Logs: state.Logs{Tails: map[string]state.Tail{"a": {Records: records(1, 3)}}}}
		before := text(t, last)
		s, err := fr.apply(last)
		if err != nil {
			return
		}
		for range 2 { // it can be applied again, to its own outcome too
			if s, err = fr.apply(s); err != nil {
				t.Fatal(err)
			}
		}
		if after := text(t, last); after != before {
			t.Errorf("the snapshot before was changed:\n%s\n%s", before, after)
		}
		for _, name := range state.SectionNames() {
			_ = s.HealthOf(name)
		}
	})
}

// BenchmarkFrame measures a second of a busy host: ten frames in which containers
// and a log changed.
func BenchmarkFrame(b *testing.B) {
	s := *fake.Many(200, 50)
	s.Versions = map[state.SectionName]uint64{}
	for _, sec := range state.SectionNames() {
		s.Versions[sec] = 1
	}
	s.Logs.Tails = map[string]state.Tail{"a": {Records: records(1, 20000)}}
	d := newDiffer()
	if _, err := d.frame(&s); err != nil {
		b.Fatal(err)
	}
	size, n := 0, 0
	for b.Loop() {
		for range 10 {
			n++
			next := s
			next.Version = s.Version + 1
			next.Versions = map[state.SectionName]uint64{state.SectionContainers: next.Version, state.SectionLogs: next.Version}
			r := s.Logs.Tails["a"].Records
			last := r[len(r)-1].Seq
			next.Logs.Tails = map[string]state.Tail{"a": {Records: append(r, records(last+1, last+10)...)}}
			f, err := d.frame(&next)
			if err != nil {
				b.Fatal(err)
			}
			line, err := json.Marshal(f)
			if err != nil {
				b.Fatal(err)
			}
			size += len(line)
			s = next
		}
	}
	b.ReportMetric(float64(size)/float64(n), "B/frame")
}
