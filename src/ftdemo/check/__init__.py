"""The import check: does importing a module bring the GIL back?"""
