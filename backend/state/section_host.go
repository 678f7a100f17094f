package state

import "fmt"

var hostSection = Descriptor{
	Name: SectionHost, Noun: "disk",
	Summary: func(s *Snapshot) string {
		return fmt.Sprintf("cpu %.0f%% of %d cores, load %.2f", s.Host.CPUPercent, s.Host.Cores, s.Host.Load1)
	},
	Lists: []List{{Short: "list the host's file systems; --json has all that is known of the host",
		Columns: []string{"MOUNT", "TYPE", "SIZE", "AVAILABLE", "DEVICE"},
		JSON:    func(s *Snapshot) any { return s.Host },
		Rows: func(s *Snapshot) []Row {
			return rowsOf(s.Host.Disks, func(d *Disk) Row {
				return Row{ID: d.Mount, Cells: []any{d.Mount, d.FSType, Bytes(d.Total), Bytes(d.Avail), d.Device}}
			})
		}}},
}

// Describe implements Section.
func (Host) Describe() *Descriptor { return &hostSection }
