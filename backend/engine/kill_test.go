package engine

func child() {}
