"""Products of whole matrices, as they are handed to the library."""


def test_products_of_the_same_left_matrix_become_neighbours():
    from rnnkit_compiler.backends.base.runtime import Matrix, Product, Spot
    from rnnkit_compiler.backends.cpp.whole_products import side_by_side

    def product(left, right):
        return Product(0, Matrix(Spot(left), 4, 8, 8, 1), Matrix(Spot(right), 8, 3, 3, 1), None, None, False)

    products = [product(*pair) for pair in ((64, 1), (128, 2), (64, 3), (192, 4), (128, 5))]
    neighbours = [(p.a.location.tensor, p.b.location.tensor) for p in side_by_side(products)]
    assert neighbours == [(64, 1), (64, 3), (128, 2), (128, 5), (192, 4)]
