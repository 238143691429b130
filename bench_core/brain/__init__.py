"""Problems from fMRI data and stimulus features.

`build` reads a TOML file (`settings`) that names targets (`images`, `timeseries`) and features
(`features`), pairs their runs by name (`pairing`) and writes a problem folder run by run. nilearn
is imported only when images are read. Maps of results are drawn by `bench_core.accuracy.maps`.
"""
